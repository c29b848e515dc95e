"""Records on disk: save, load, migrate, recompute."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import write_text
from xqr_bench.core.types import LENIENT, STRICT, Ranks
from xqr_bench.measure.certainty import attach_certainty, score_variant
from xqr_bench.measure.linear import BOOTSTRAP, JACKKNIFE
from xqr_bench.measure.scores import SettingScores, all_per_query, score
from xqr_bench.record.model import SCHEMA_VERSION, Record
from xqr_bench.record.rank_files import (
    check_possible,
    load_ranks,
    load_relevance,
    ranks_digest,
    relevance_digest,
    save_ranks,
    save_relevance,
)

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
    _write_nulls(record.scores, data["scores"])
    for name, under in record.relevance.items():
        _write_nulls(under.scores, data["relevance"][name]["scores"])
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _write_nulls(scores: dict[str, SettingScores], data: dict[str, Any]) -> None:
    for setting, found in scores.items():
        for part, key, metric, figure in found.items():
            if figure.value is None:
                place = data[setting]
                (place if part == "macro" else place[part][key])[metric]["value"] = None


def save_record(record: Record, path: Path) -> Path:
    """Write the record to `path` and its ranks beside it; the record comes last.

    The ranks stand in `<task>.ranks.parquet`, those under other rules of relevance in `<task>.<rule>.parquet`.

    Returns:
        the path of the record.
    """
    ranks_path = path.with_suffix(".ranks.parquet")
    variants = {name: relevance_ranks(record, name) for name in record.relevance if record.relevance[name].ranks_file}
    save_ranks(record.ranks, ranks_path)
    record.ranks_file.file = ranks_path.name
    for name, variant in variants.items():
        info, there = record.relevance[name].ranks_file, path.with_suffix(f".{name}.parquet")
        save_relevance(name, record.ranks, variant, there)
        if info is not None:
            info.file = there.name
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
        data = strict_json.read(path)
    except FileNotFoundError:
        raise RecordError(
            f"there is no record {path}", remedy="records stand at <output>/<model>/<task>.json"
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} is not a record: {why}", remedy="name the JSON file of a record") from error
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
        record = strict_json.validate(Record, data)
    except ValidationError as error:
        raise RecordError(
            f"{path} does not follow the record schema: {strict_json.first_fault(error)}",
            remedy="compare it with leaderboard/schema.json",
        ) from error
    if not ranks:
        return record.with_ranks(None, path)
    there = file_beside(path, record.ranks_file.file)
    loaded = load_ranks(there, record.ranks_file.n_relevants)
    _check_digest(there, path, ranks_digest(loaded), record.ranks_file.digest)
    return record.with_ranks(loaded, path)


def relevance_ranks(record: Record, name: str) -> Ranks:
    """The record's ranks under a rule of relevance, read from the file beside it when they are first asked for.

    Args:
        record: with its strict ranks.
        name: strict, or a rule that the record has.

    Raises:
        RecordError: the record has no scores under this rule, or the file is missing or not that of the record.
    """
    strict = record.ranks
    if name == STRICT:
        return strict
    record.scores_under(name)
    info = record.relevance[name].ranks_file
    if name not in strict.variants and info is not None and record.place is not None:
        path = file_beside(record.place, info.file)
        # the paragraph file holds what the rule adds to the strict relevants, the lenient one a row for each of them
        rows = info.n_relevants - (0 if name == LENIENT else strict.n_relevants)
        variant = load_relevance(name, strict, path, rows)
        _check_digest(path, record.place, relevance_digest(name, strict, variant), info.digest)
        record._ranks = strict = replace(strict, variants={**strict.variants, name: variant})
    if name not in strict.variants:
        raise RecordError(f"the ranks of {name} relevance are not at hand", remedy="load the record from its file")
    return strict.variants[name]


def file_beside(path: Path, name: str | None) -> Path:
    """The file that a record names, which must stand beside it.

    Raises:
        RecordError: it is no plain name.
    """
    if name is None or name in ("", "..") or name != Path(name).name or "\\" in name:
        raise RecordError(f"{path} names no ranks file beside it", found=repr(name), remedy="evaluate again")
    return path.with_name(name)


def _check_digest(path: Path, record: Path, digest: str, stated: str) -> None:
    if digest != stated:
        raise RecordError(
            f"the ranks in {path} are not those of the record {record}",
            found=f"digest {digest[:12]}…, the record says {stated[:12]}…",
            remedy="get the files of one evaluation, or evaluate again",
        )


class Difference(NamedTuple):
    """A stored figure that does not follow from the ranks."""

    place: str
    stored: Any
    recomputed: Any


def recompute(record: Record) -> tuple[Record, list[Difference]]:
    """Compute every score anew from the record's ranks.

    Returns:
        the record with the recomputed scores, and the differences from the stored ones: numbers that differ by more
        than 1e-9 of their size, and figures that only one side has. An interval that the stored record lacks, or
        has by a method since replaced, is no difference, the record is older: `gained_intervals` counts those.

    Raises:
        RecordError: the ranks are not possible, or the record was loaded without them.
    """
    ranks, task = record.ranks, record.task
    check_possible(ranks)
    values = all_per_query(ranks, task.metrics, task.settings)
    scores, _ = score(values, task.groups)
    scores = attach_certainty(scores, values, ranks, task.groups)
    relevance = {}
    for name, info in record.relevance.items():
        under: dict[str, SettingScores] = {}
        if info.ranks_file is not None:
            under = score_variant(name, relevance_ranks(record, name), task.metrics, task.settings, task.groups)
        relevance[name] = info.model_copy(update={"scores": under})
    new = record.model_copy(update={"scores": scores, "relevance": relevance})
    stored_and_new = zip(_scores_by_place(record).items(), _scores_by_place(new).values(), strict=True)
    return new, [
        difference
        for (place, stored), made in stored_and_new
        for difference in _differences(_dumped(stored), _dumped(made), place)
    ]


def _scores_by_place(record: Record) -> dict[str, dict[str, SettingScores]]:
    """The scores under every rule of relevance, by where they stand in the record."""
    under = {f"relevance.{name}": info.scores for name, info in record.relevance.items()}
    return {"scores": record.scores, **under}


def _dumped(scores: dict[str, SettingScores]) -> dict[str, Any]:
    return {name: found.model_dump(mode="json") for name, found in scores.items()}


def gained_intervals(stored: Record, recomputed: Record) -> int:
    """How many figures have intervals in the recomputed record that the stored one lacks, or has by an older method."""
    before, after = (
        {
            (place, setting, part, key, metric): figure
            for place, scores in _scores_by_place(record).items()
            for setting, of_setting in scores.items()
            for part, key, metric, figure in of_setting.items()
        }
        for record in (stored, recomputed)
    )
    return sum(
        any(
            made is not None and (had is None or _replaced(had.method, made.method))
            for made, had in ((getattr(new, name), getattr(before.get(place), name, None)) for name in INTERVALS)
        )
        for place, new in after.items()
    )


def _replaced(stored: str, found: str) -> bool:
    """Whether an interval is by the method of older versions: Kendall's W by bootstrap, now by jackknife."""
    return stored.startswith(BOOTSTRAP) and found == JACKKNIFE


def _older(key: str, stored: Any, found: Any) -> bool:
    """Whether an interval is left out, or by an older method."""
    if key not in INTERVALS:
        return False
    return stored is None or (found is not None and _replaced(stored["method"], found["method"]))


def _differences(stored: Any, found: Any, place: str) -> Iterator[Difference]:
    if isinstance(stored, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*stored, *found]):
            if not _older(key, stored.get(key), found.get(key)):
                yield from _differences(stored.get(key), found.get(key), f"{place}.{key}")
    elif isinstance(stored, float | int) and isinstance(found, float | int):
        if not math.isclose(stored, found, rel_tol=1e-9, abs_tol=1e-12):
            yield Difference(place, stored, found)
    elif stored != found:
        yield Difference(place, stored, found)
