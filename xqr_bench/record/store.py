"""Records on disk: save, load, migrate, recompute."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from xqr_bench.certainty import attach_certainty
from xqr_bench.errors import RecordError
from xqr_bench.files import write_text
from xqr_bench.record.model import SCHEMA_VERSION, Record
from xqr_bench.record.ranks_file import check_possible, load_ranks, ranks_digest, save_ranks
from xqr_bench.scores import all_per_query, score
from xqr_bench.types import Ranks

INTERVALS = ("interval", "article_interval")
# schema version -> a function that turns its JSON into that of the next version
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def folder_name(model: str) -> str:
    """A model's name as one folder name: `org/name` becomes `org__name`, anything unusual an underscore."""
    parts = [re.sub(r"[^A-Za-z0-9._-]", "_", part).strip(".") for part in model.split("/")]
    return "__".join(part for part in parts if part) or "model"


def record_path(output: Path, model: str, task: str) -> Path:
    """Where the record of `model` on `task` stands below `output`."""
    return output / folder_name(model) / f"{folder_name(task)}.json"


def to_json(record: Record) -> str:
    """The record as JSON text: absent optional fields are left out, an undefined `value` is null."""
    data = record.model_dump(mode="json", exclude_none=True)
    for setting, scores in record.scores.items():
        for part, key, metric, found in scores.items():
            if found.value is None:
                place = data["scores"][setting]
                (place if part == "macro" else place[part][key])[metric]["value"] = None
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def save_record(record: Record, path: Path) -> Path:
    """Write the record to `path` and its ranks beside it (`<task>.ranks.parquet`); the record comes last.

    Returns:
        the path of the record.
    """
    ranks_path = path.with_suffix(".ranks.parquet")
    save_ranks(record.ranks, ranks_path)
    record.ranks_file.file = ranks_path.name
    write_text(path, to_json(record))
    return path


def load_record(path: Path | str, *, ranks: bool = False) -> Record:
    """Read a record of this or any older schema version.

    Args:
        path: the JSON file.
        ranks: also read the ranks file beside it and check its digest.

    Raises:
        RecordError: the file is missing, is not a record, is of a newer version, or does not fit its ranks.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(
            f"there is no record {path}", remedy="records stand at <output>/<model>/<task>.json"
        ) from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is not a record: {error}", remedy="name the JSON file of a record") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RecordError(f"{path} is not a record", found="no schema_version", remedy="name the JSON file of a record")
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"{path} has the schema version {version}",
            found=f"this xqr-bench reads versions up to {SCHEMA_VERSION}",
            remedy="update xqr-bench",
        )
    while version < SCHEMA_VERSION:
        data = MIGRATIONS[version](data)
        version += 1
    try:
        record = Record.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"{path} does not follow the record schema: {where}: {first['msg']}",
            remedy="compare it with leaderboard/schema.json",
        ) from error
    if ranks:
        record._ranks = _ranks_beside(record, path)
    return record


def _ranks_beside(record: Record, path: Path) -> Ranks:
    name = record.ranks_file.file
    if name is None or name != Path(name).name:
        raise RecordError(f"{path} names no ranks file beside it", found=repr(name), remedy="evaluate again")
    ranks = load_ranks(path.with_name(name))
    digest = ranks_digest(ranks)
    if digest != record.ranks_file.digest:
        raise RecordError(
            f"the ranks in {path.with_name(name)} are not those of the record {path}",
            found=f"digest {digest[:12]}…, the record says {record.ranks_file.digest[:12]}…",
            remedy="get the two files of one evaluation, or evaluate again",
        )
    return ranks


class Difference(NamedTuple):
    """A stored figure that does not follow from the ranks."""

    place: str
    stored: Any
    recomputed: Any


def recompute(record: Record) -> tuple[Record, list[Difference]]:
    """Compute every score anew from the record's ranks.

    Returns:
        the record with the recomputed scores, and the differences from the stored ones: numbers that differ by more
        than 1e-9 of their size, and figures that only one side has. An interval that the stored record lacks is no
        difference, the record is older: `gained_intervals` counts those.

    Raises:
        RecordError: the ranks are not possible, or the record was loaded without them.
    """
    ranks = record.ranks
    check_possible(ranks)
    values = all_per_query(ranks, record.task.metrics, record.task.settings)
    scores, _ = score(values, record.task.groups)
    scores = attach_certainty(scores, values, ranks, record.task.groups)
    new = record.model_copy(update={"scores": scores})
    new._ranks = ranks
    stored = {name: found.model_dump(mode="json") for name, found in record.scores.items()}
    found = {name: made.model_dump(mode="json") for name, made in scores.items()}
    return new, list(_differences(stored, found, "scores"))


def gained_intervals(stored: Record, recomputed: Record) -> int:
    """How many figures have intervals in the recomputed record that the stored one lacks."""
    before = {
        (setting, part, key, metric): found
        for setting, scores in stored.scores.items()
        for part, key, metric, found in scores.items()
    }
    gained = 0
    for setting, scores in recomputed.scores.items():
        for part, key, metric, new in scores.items():
            old = before.get((setting, part, key, metric))
            gained += any(
                getattr(new, name) is not None and (old is None or getattr(old, name) is None) for name in INTERVALS
            )
    return gained


def _differences(stored: Any, found: Any, place: str) -> Iterator[Difference]:
    if isinstance(stored, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*stored, *found]):
            if not (key in INTERVALS and stored.get(key) is None):
                yield from _differences(stored.get(key), found.get(key), f"{place}.{key}")
    elif isinstance(stored, float | int) and isinstance(found, float | int):
        if not math.isclose(stored, found, rel_tol=1e-9, abs_tol=1e-12):
            yield Difference(place, stored, found)
    elif stored != found:
        yield Difference(place, stored, found)
