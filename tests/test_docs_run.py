"""Every command in a block of a page runs here, in the page's order in one folder, or is listed with its reason.

Tiny models of random weights stand where a page has a real one, and the embedded task where it has a large one. The
pages of `WHOLE` are run, as they stand, by tests that also look at what comes out. That every command of every page,
also those in sentences, has the options it shows is in test_docs_commands.py.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, product
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA
from tests.kit import BOARD, PARTIAL, ROOT, make_use_package, page_blocks, ran
from tests.test_docs_commands import PAGES, blocks, commands
from xqr_bench.encode import load_encoder
from xqr_bench.tasks import load_task

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="docs/ is not beside an installed package")

WHOLE = {
    "CONTRIBUTING.md": "test_project.py",
    "docs/design.md": "test_docs.py",
    "docs/encoders.md": "test_docs.py",
    "docs/examples/README.md": "test_docs.py",
    "docs/faiss.md": "test_docs.py",
    "docs/inspect.md": "test_docs.py",
    "docs/losses.md": "train/test_losses.py",
    "docs/interop.md": "test_docs.py",
    "docs/quantize.md": "test_docs.py",
    "docs/rankers.md": "evaluation/test_rankers.py",
    "docs/remedies.md": "test_docs_remedies.py",
    "docs/reranking.md": "test_docs.py",
    "docs/run.md": "test_docs.py",
    "docs/start.md": "test_docs.py",
}
"""Page -> the tests that run all of its commands."""

MACHINES = {"docs/scale.md": "test_docs_commands.py"}
"""Page -> the tests that parse its commands, which need several machines, GPUs or terminals."""

NOT_RUN = {
    "data fetch": "downloads",
    "data verify": "reads all data of all tasks; tests/cli/test_data.py runs it on small ones",
    "recompute --write leaderboard/": "changes the board; tests/cli/test_recompute.py runs it on a copy",
    "cache clear": "would take the vectors of the other tests",
    "evaluate MODEL --task irds:": "downloads",
    "submit": "reads the real data for long; test_docs.py does it for docs/start.md, tests/board on small boards",
    "leaderboard verify": "reads all of the real data; .ci/run does it",
    "leaderboard build": "tests/site builds boards, in a minute",
    "reproduce leaderboard/": "encodes a whole task; tests/board/test_reproduce.py runs it on the embedded one",
    "sweep --output study ": "a study of days",
    "sweep --output study-": "needs a GPU and models of the hub",
    "sweep e5-remedies.toml ": "trains for hours; tests/studies/test_given.py does it with a tiny model",
    "remedies e5-remedies ": "reads what the one before made; tests/studies/test_given.py does it",
    "report p-values": "reads the published study of the board; tests/studies runs it",
    "report ratios": "reads a study of days; tests/studies reports a small one",
    "train --data mlqa-r --align": "trains for minutes; tests/train does for seconds",
    "evaluate runs/": "evaluates what is trained in minutes",
    "compare results/ratio-": "compares what is trained in minutes",
    "train --base xlm-r-base": "needs a model of the hub",
    "train --data mmarco": "needs a model and data of the hub",
}
"""How a command begins -> why it is parsed and not run."""

NEEDS_DATA = ("export beir xquad-r", "tasks check beir", "train --data mlqa-r --ratio", "train --data xquad-r --ratio")
"""How the commands begin that read the real data of a task."""

RESULTS = {
    "docs/bias.md": {"USE_multilingual_v3__from_6-bit_weights_": "xquad-r"},
    "docs/leaderboard.md": {"char-ngrams": "*"},
}
"""Page -> whose records of the board, and of which task, it takes to be in results/."""

FILES: dict[str, dict[str, str | tuple[str, int]]] = {
    "docs/exposure.md": {
        "exposure.json": ("json", 0),
        "corpus/texts.txt": "The lighthouse stands on a rock.\n",
        "train.jsonl": '{"text": "A sentence about something else."}\n',
    },
    "docs/tasks.md": {"my-task.toml": ("toml", 0), "de.json": ("json", 0), "data/sw.json": ("json", 0)},
}
"""Page -> file that it takes to be there -> its text, or which block of the page it is."""

INSTEAD = {
    "MODEL": "char-ngrams",
    "FILE": str(PARTIAL),
    "A.json": "results/char-ngrams/mini.json",
    "B.json": "results/bm25/mini.json",
}

TASKS = "xquad-r|xquad|mlqa-r|afriqa|afriqa-translated|tatoeba"


def shown(page: Path) -> list[list[str]]:
    """The commands in the blocks of a page."""
    return [words for block in blocks(page.read_text(encoding="utf-8")) for words in commands(block)]


NEEDS_VECTORS = "--transform-from"
"""The option of the commands that need vectors of NTREX."""


def listed(words: list[str], starts: Iterable[str]) -> str | None:
    """Which of the listed beginnings this command has."""
    return next((start for start in starts if " ".join([*words, ""]).startswith(start)), None)


def as_a_shell_would(word: str) -> list[str]:
    """A word with its braces and its pattern of files replaced."""
    parts = [part.strip("{}").split(",") for part in re.split(r"({[^}]*})", word)] if "{" in word else [[word]]
    words = ["".join(chosen) for chosen in product(*parts)]
    found = ((sorted(map(str, Path().glob(one))) if "*" in one else []) or [one] for one in words)
    return list(chain.from_iterable(found))


def smaller(words: list[str]) -> list[str]:
    """The command on the embedded task and four questions of a language, with fewer draws."""
    made: list[str] = []
    for word in (INSTEAD.get(word, word) for word in words):
        if re.fullmatch(TASKS, word) and words[0] in ("evaluate", "baseline", "geometry", "exposure"):
            if made[-1] == "--task" and "mini" in made:
                made.pop()
            else:
                made.append("mini")
            continue
        there = as_a_shell_would(word)
        if word.startswith("results/") and not Path(there[0]).exists():
            there = as_a_shell_would(re.sub(rf"/(?:{TASKS})\.json$", "/mini.json", word))
        made += [one for one in there if one not in made or not one.endswith(".json")]
    more = {
        "evaluate": ["--limit", "4", "--quiet", "--overwrite"],
        "baseline": ["--limit", "4"],
        "compare": ["--resamples", "200"],
        "leaderboard": ["--leaderboard", "small-board"],
    }.get(words[0], [])
    return made + (more if not set(more) & set(words) else [])


def copy_records(model: str, task: str, to: Path) -> None:
    """The records of the board of a model on a task (or all: *) with their ranks."""
    for path in (BOARD / model).glob(f"*/{task}.*"):
        made = to / path.relative_to(BOARD)
        if to.name == "results":
            made = to / model / path.name
        made.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, made)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> Iterator[Path]:
    """A folder with tiny models in the place of real ones, and what else a page takes to be there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("multilingual-e5-small", "intfloat/multilingual-e5-small", "intfloat/multilingual-e5-base"):
        shutil.copytree(model, tmp_path / name)
    data, encoder = load_task("mini"), load_encoder("char-ngrams")
    folder = tmp_path / "vectors" / "all-minilm-l6-v2" / "mini"
    folder.mkdir(parents=True)
    for kind, items, encode in (
        ("queries", data.queries, encoder.encode_queries),
        ("candidates", data.candidates, encoder.encode_candidates),
    ):
        np.save(folder / f"{kind}.npy", encode([item.text for item in items]))
        (folder / f"{kind}.ids.txt").write_text("".join(f"{item.id}\n" for item in items), encoding="utf-8")
    shutil.copytree(folder.parent, tmp_path / folder.parent.name)
    (tmp_path / "docs" / "examples").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "examples" / "use.py", tmp_path / "docs" / "examples")
    make_use_package(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").is_file():
            del sys.modules[name]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.relative_to(ROOT).as_posix() not in {**WHOLE, **MACHINES} and shown(page)],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_the_commands_of_a_page_run(page: Path, here: Path) -> None:
    text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
    for model in ("bm25", "char-ngrams"):
        copy_records(model, "xquad-r", here / "small-board")
    for model in BOARD.iterdir():
        if f"{model.name}/" in text or model.name in re.split("[{},]", text):
            copy_records(model.name, "*", here / "leaderboard")
    for model, task in RESULTS.get(name, {}).items():
        copy_records(model, task, here / "results")
    for path, of in FILES.get(name, {}).items():
        Path(path).parent.mkdir(exist_ok=True)
        written = of if isinstance(of, str) else page_blocks(f"../{name}", of[0])[of[1]][1]
        Path(path).write_text(written, encoding="utf-8")
    if "B.json" in text:
        ran("evaluate", "bm25", "--limit", "4", "--quiet")
    for words in shown(page):
        if NEEDS_VECTORS in words or listed(words, NOT_RUN) or (not DATA and listed(words, NEEDS_DATA)):
            continue
        ran(*smaller(words))


def test_what_is_not_run_is_shown() -> None:
    every = [words for page in PAGES for words in shown(page)]
    assert [start for start in (*NOT_RUN, *NEEDS_DATA) if not any(listed(words, [start]) for words in every)] == []
    for page, tests in {**WHOLE, **MACHINES}.items():
        source = (ROOT / "tests" / tests).read_text(encoding="utf-8")
        assert page.removeprefix("docs/") in source, f"{page} is not run by tests/{tests}"
