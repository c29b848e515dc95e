"""A record -> the leaderboard folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from xqr_bench.board.attestation import load_attestation
from xqr_bench.board.check import check_submission
from xqr_bench.board.files import MAX_RECORD, max_ranks, read_json
from xqr_bench.board.places import attestation_path, is_record, ranks_path, record_place, relevance_paths
from xqr_bench.board.publish import publishable
from xqr_bench.errors import RecordError, UsageError
from xqr_bench.exposure import Exposure, Level, default_exposure, read_declaration
from xqr_bench.files import write_text
from xqr_bench.record import Record, relevance_ranks, save_ranks, save_record, save_relevance, to_json


class Submitted(NamedTuple):
    """What a submission wrote."""

    record: Path
    ranks: Path
    replaced: bool
    attestation: Path | None
    commands: list[str]
    """Git commands that make a pull request of it."""
    exposure: Level


def submit(
    path: Path | str,
    leaderboard: Path | str = "leaderboard",
    *,
    replace: bool = False,
    exposure: str | None = None,
    exposure_note: str | None = None,
) -> Submitted:
    """Check a record and copy it, with its ranks, to its place in the leaderboard folder.

    Local paths in its provenance are cut down to their last part. Nothing is written unless everything is right.

    Args:
        path: the record.
        leaderboard: the folder.
        replace: overwrite a submission of the same model, version and task.
        exposure: what the encoder may have seen of the task, as `read_declaration` takes it; default: what the record
            says, else what the submission that is replaced says.
        exposure_note: in words.

    Raises:
        XqrBenchError: the first fault of the record or the declaration; it is there already; the folder cannot be
            written.
    """
    folder = Path(leaderboard)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", remedy="name the leaderboard folder: --leaderboard DIR")
    if exposure is None and exposure_note is not None:
        raise UsageError("a note on exposure without a level", remedy="give --exposure LEVEL too")
    checked = check_submission(Path(path))
    target = folder / record_place(checked)
    declared = _exposure(checked, target, exposure, exposure_note)
    changed = checked.model_copy(update={"exposure": declared})
    changed._ranks = checked.ranks
    record = publishable(changed)
    _refuse_links(folder, target)
    _refuse_other_name(target, record)
    replaced = target.exists() or ranks_path(target).exists()
    if replaced and not replace:
        raise RecordError(
            f"{record.model.name} {target.parent.name} is on the leaderboard for {record.task.name} already",
            found=str(target),
            remedy="--replace puts this record in its place; a variant gets a name of its own: evaluate --name",
        )
    _check_sizes(record, folder, target)
    attestation = _attestation(Path(path), target, record)
    save_record(record, target)
    for name, there in relevance_paths(target).items():
        if name not in _rules(record):
            there.unlink(missing_ok=True)  # of the submission that was replaced
    level = (record.exposure or default_exposure(record.model.identity.kind)).level
    commands = _commands(record, target, attestation)
    return Submitted(target, ranks_path(target), replaced, attestation, commands, level)


def _exposure(record: Record, target: Path, text: str | None, note: str | None) -> Exposure | None:
    """What is declared now; else what the record says; else what the submission of before said."""
    if text is not None:
        now, before = read_declaration(text, record.task.name, note=note), record.exposure
        # what a search found stays, and cannot be declared away; so do the languages that a training was on
        known = {} if before is None else before.model_dump(include={"found", "languages"})
        kept = {name: value for name, value in known.items() if value is not None and getattr(now, name) is None}
        try:
            return Exposure.model_validate({**now.model_dump(), **kept})
        except ValidationError as error:
            raise UsageError(
                f"the declaration does not fit the record: {error.errors()[0]['msg']}",
                remedy="declare the level that was found",
            ) from None
    if record.exposure is None and target.is_file():
        declared = read_json(target, MAX_RECORD).get("exposure")
        return None if declared is None else Exposure.model_validate(declared)
    return record.exposure


def _attestation(source: Path, target: Path, record: Record) -> Path | None:
    """Bring the attestation beside the record along; one of the submission that is replaced goes with it."""
    there = attestation_path(target)
    own = attestation_path(source)
    if own.exists() or own.is_symlink():
        load_attestation(own, record)
        if own.resolve() != there.resolve():
            write_text(there, own.read_text(encoding="utf-8"))
        return there
    there.unlink(missing_ok=True)
    return None


def _refuse_links(folder: Path, target: Path) -> None:
    """No symbolic link may lead a submission out of the folder."""
    places = [target, ranks_path(target), *relevance_paths(target).values(), target.parent, target.parent.parent]
    for place in places:
        if place.is_symlink():
            raise RecordError(f"{place} is a symbolic link", remedy="remove it from the leaderboard folder")
    if folder.exists() and not target.parent.resolve().is_relative_to(folder.resolve()):
        raise RecordError(f"{target} would lie outside {folder}", remedy="evaluate again with --name NAME")


def _refuse_other_name(target: Path, record: Record) -> None:
    """Two models whose names make the same folder name cannot share it."""
    folder = target.parent.parent
    for other in sorted(folder.glob("*/*.json")) if folder.is_dir() else []:
        if is_record(other):
            name = read_json(other, MAX_RECORD)["model"]["name"]
            if name != record.model.name:
                raise RecordError(
                    f"the folder {folder} belongs to another model", found=str(name), remedy="choose another --name"
                )


def _rules(record: Record) -> list[str]:
    """The rules of relevance that have a file beside the record."""
    return [name for name, info in record.relevance.items() if info.ranks_file is not None]


def _check_sizes(record: Record, folder: Path, target: Path) -> None:
    """The files as they will be written must be as small as `verify` wants them."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / target.name
        save_ranks(record.ranks, packed)
        sizes = {"ranks": (packed.stat().st_size, max_ranks(record.task.name))}
        for name in _rules(record):
            save_relevance(name, record.ranks, relevance_ranks(record, name), packed)
            sizes[f"ranks of {name} relevance"] = (packed.stat().st_size, max_ranks(record.task.name))
    sizes["record"] = (len(to_json(record).encode()), MAX_RECORD)
    for what, (size, limit) in sizes.items():
        if size > limit:
            raise RecordError(
                f"the {what} would be too large for {folder}",
                found=f"{size:,} bytes; at most {limit:,}",
                remedy="evaluate again",
            )


def _commands(record: Record, target: Path, attestation: Path | None) -> list[str]:
    branch = f"submit-{target.parent.parent.name}-{target.stem}".lower()
    beside = relevance_paths(target)
    files = [
        target,
        ranks_path(target),
        *(beside[name] for name in _rules(record)),
        *([attestation] if attestation else []),
    ]
    return [
        shlex.join(command)
        for command in (
            ["git", "switch", "-c", branch],
            ["git", "add", *(path.as_posix() for path in files)],
            ["git", "commit", "-m", f"Submit {record.model.name} on {record.task.name}"],
            ["git", "push", "-u", "origin", branch],
        )
    ]
