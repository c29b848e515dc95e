"""A folder of a board whose one task is the mini task, with and without the best candidates of its rows."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

from tests.board.conftest import submittable
from xqr_bench.board.site import MorePage, build_site, explorer
from xqr_bench.board.submissions import submit
from xqr_bench.board.table import read_leaderboard
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.record import save_record
from xqr_bench.tasks import load_task

MODELS = ("char-ngrams", "bm25", "random")
NOT_KEPT = "bm25"


def make_folder(folder: Path) -> Path:
    """Three rows; one of them without its best candidates."""
    for model in MODELS:
        (record,) = evaluate(model, ["mini"], metrics=["map", "own_language_first"])
        placed = submit(save_record(submittable(record), folder / model / "mini.json"), folder / "board").record
        if model == NOT_KEPT:
            placed.with_suffix(".top.parquet").unlink()
    return folder / "board"


def built(board: Path, out: Path, *, texts: bool) -> Path:
    """The site of such a folder."""
    read = read_leaderboard(board, test=False)
    page = explorer(read, board, {"mini": load_task("mini")} if texts else None)
    assert isinstance(page, MorePage)
    build_site(read, out, [page])
    return out


def loaded(path: Path) -> Any:
    """What a file of the site hands to the page."""
    (text,) = re.fullmatch(r"receive\((.*)\)\n", path.read_text(encoding="utf-8"), re.DOTALL).groups()  # type: ignore[union-attr]
    found = json.loads(json.loads(text))
    if isinstance(found, dict) and set(found) == {"deflate"}:
        return json.loads(zlib.decompress(base64.b64decode(found["deflate"])))
    return found
