"""All submissions of a leaderboard folder, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from xqr_bench.board.attestation import load_attestation
from xqr_bench.board.check import check_submission
from xqr_bench.board.places import RATIOS, attestation_path, ranks_path, record_paths, record_place, strange_files
from xqr_bench.board.publish import local_paths
from xqr_bench.board.published import check_published
from xqr_bench.errors import RecordError, UsageError, XqrBenchError
from xqr_bench.printable import shown_line
from xqr_bench.record import Record
from xqr_bench.report.ratio.model import load_ratios


class Fault(NamedTuple):
    """What is wrong with one file, in one line."""

    path: str
    text: str


class Verified(NamedTuple):
    """What `verify` found."""

    checked: int
    faults: list[Fault]


def one_line(error: XqrBenchError) -> str:
    """An error without its remedy, in one line."""
    return shown_line("; ".join(part for part in (error.problem, error.found and f"found {error.found}") if part))


def check_placed(path: Path, folder: Path, *, prove: bool = True) -> Record:
    """Check a submission where it stands.

    Args:
        path: its record.
        folder: the leaderboard folder.
        prove: also compute every score anew.

    Raises:
        XqrBenchError: the first fault.
    """
    record = check_submission(path, prove=prove)
    place = record_place(record)
    if path != folder / place:
        raise RecordError(
            "the record stands in the wrong place", found=f"it belongs to {place}", remedy="use xqr-bench submit"
        )
    if record.ranks_file.file != ranks_path(path).name:
        raise RecordError(
            "the record names another ranks file", found=record.ranks_file.file, remedy="use xqr-bench submit"
        )
    if local_paths(record):
        raise RecordError("the record holds paths of the machine it was made on", remedy="use xqr-bench submit")
    attestation = attestation_path(path)
    if attestation.exists() or attestation.is_symlink():
        load_attestation(attestation, record)
    return record


def verify(leaderboard: Path | str = "leaderboard", progress: Callable[[str], None] | None = None) -> Verified:
    """Check every file of the leaderboard folder.

    Args:
        leaderboard: the folder.
        progress: told the path of each submission before it is checked.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(leaderboard)
    if not folder.is_dir():
        raise UsageError(f"there is no leaderboard folder {folder}", remedy="name it: xqr-bench leaderboard verify DIR")
    faults = [Fault(_below(path, folder), why) for path, why in strange_files(folder)]
    faults += [Fault(_below(path, folder), one_line(error)) for path, error in check_published(folder)]
    faults += _study(folder)
    names: dict[str, str] = {}
    paths = record_paths(folder)
    for path in paths:
        if progress is not None:
            progress(_below(path, folder))
        try:
            record = check_placed(path, folder)
        except XqrBenchError as error:
            faults.append(Fault(_below(path, folder), _without(one_line(error), folder)))
            continue
        faults += _shared_folder(path, folder, record, names)
    return Verified(len(paths), faults)


def _study(folder: Path) -> Iterator[Fault]:
    """A fault when the figures of the ratio study have another form."""
    path = folder / RATIOS
    if path.exists():
        try:
            load_ratios(path)
        except XqrBenchError as error:
            yield Fault(_below(path, folder), _without(one_line(error), folder))


def _shared_folder(path: Path, folder: Path, record: Record, names: dict[str, str]) -> Iterator[Fault]:
    """A fault when another model's name makes the same folder name."""
    first = names.setdefault(path.relative_to(folder).parts[0], record.model.name)
    if first != record.model.name:
        yield Fault(_below(path, folder), f"its folder belongs to the model {first!r}")


def _below(path: Path, folder: Path) -> str:
    return shown_line(path.relative_to(folder).as_posix())


def _without(text: str, folder: Path) -> str:
    return text.replace(f"{folder}/", "")
