"""The files beside a record: where they stand, where they wait, and how the record names them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import now_at, put_in_place
from xqr_bench.core.types import RULES, STRICT
from xqr_bench.record.model import RanksInfo, Record, RelevanceInfo, TopInfo

Part = TypeVar("Part", Record, RelevanceInfo)


def ranks_places(path: Path) -> dict[str, Path]:
    """Where the ranks of a record stand, by rule of relevance."""
    return {name: path.with_suffix(".ranks.parquet" if name == STRICT else f".{name}.parquet") for name in RULES}


def top_place(path: Path) -> Path:
    """Where the best candidates of a record stand."""
    return path.with_suffix(".top.parquet")


def side_files(path: Path) -> list[Path]:
    """All files that may stand beside a record."""
    return [*ranks_places(path).values(), top_place(path)]


def top_digest(record: Record) -> str:
    """What the file of the best candidates is known by while it waits: its digest, else that of the ranks."""
    return record.ranks_file.digest if record.top_file is None else record.top_file.digest


def settle(record: Record, path: Path) -> None:
    """Bring the ranks of the record at `path` from where they wait into their places; others do not stay there."""
    infos = {STRICT: record.ranks_file, **{name: info.ranks_file for name, info in record.relevance.items()}}
    with suppress(OSError):  # where it cannot be written, they are found where they wait
        for name, place in ranks_places(path).items():
            info = infos.get(name)
            put_in_place(place, None if info is None else info.digest)
        put_in_place(top_place(path), top_digest(record))


def naming_files(record: Record, path: Path) -> Record:
    """The record as it names the files that stand beside it at a path."""
    places, top = ranks_places(path), record.top_file
    relevance = {name: _with_file(info, places[name]) for name, info in record.relevance.items()}
    top = top and top.model_copy(update={"file": top_place(path).name})
    return _with_file(record, places[STRICT]).model_copy(update={"relevance": relevance, "top_file": top})


def _with_file(part: Part, path: Path) -> Part:
    """A record, or a part of it, that names the file of its ranks."""
    info = part.ranks_file
    return part.model_copy(update={"ranks_file": info and info.model_copy(update={"file": path.name})})


def file_beside(path: Path, info: RanksInfo | TopInfo) -> Path:
    """The file that the record at `path` names, which must stand beside it, or wait there for its place.

    Raises:
        RecordError: it is no plain name.
    """
    name = info.file
    plain = all(part == Path(part or "").name and "\\" not in part for part in (name, info.digest))
    if name is None or name in ("", "..") or not plain:
        raise RecordError(f"{path} names no ranks file beside it", found=repr(name), remedy="evaluate again")
    return now_at(path.with_name(name), info.digest)
