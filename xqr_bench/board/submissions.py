"""What stands in the leaderboard folder: submissions, put there and checked, and figures from papers."""

from __future__ import annotations

import shlex
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.board.asked import Submission
from xqr_bench.board.attestation import Attestation, load_attestation, record_digest
from xqr_bench.board.check import check_submission
from xqr_bench.board.facts import board_tasks, data_facts
from xqr_bench.board.files import (
    FIGURES,
    MAX_RECORD,
    MAX_TOP,
    PUBLISHED,
    attestation_path,
    check_file,
    check_name,
    is_ours_left_behind,
    local_paths,
    max_ranks,
    publishable,
    ranks_path,
    read_json,
    record_paths,
    record_place,
    relevance_paths,
    signature_path,
    strange_files,
)
from xqr_bench.board.identity import stated_exposure
from xqr_bench.board.model import Bias, PublishedRow, SettingFigures, Source, signed_by
from xqr_bench.board.names import Entry, clash, clashes, entries_of
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError, UsageError, XqrBenchError
from xqr_bench.core.files import atomic_path, now_at, put_in_place, waiting_place
from xqr_bench.core.memory import usable_cores
from xqr_bench.core.names import unseen
from xqr_bench.core.observe import Observer
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Figure
from xqr_bench.record import Record, Result, folder_name, load_record, save_record, shortened
from xqr_bench.record.beside import settle, top_digest, top_place
from xqr_bench.record.exposure import Exposure, Level, read_declaration
from xqr_bench.record.top_file import check_top, save_top

# A record -> the leaderboard folder.


class Submitted(NamedTuple):
    """What a submission wrote."""

    record: Path
    ranks: Path
    replaced: bool
    attestation: Path | None
    commands: list[str]
    """Git commands that make a pull request of it."""
    exposure: Level


def submit(path: Path | str, leaderboard: Path | str = "leaderboard", asked: Submission | None = None) -> Submitted:
    """Check a record and copy it, with its ranks, to its place in the leaderboard folder.

    Local paths in its provenance are cut down to their last part. Nothing is written unless everything is right.

    Args:
        path: the record.
        leaderboard: the folder.
        asked: whether a submission is replaced, and what the encoder may have seen of the task; default: what the
            record says of it, else what the submission that is replaced says.

    Raises:
        XqrBenchError: the first fault of the record or the declaration; it is there already; the folder cannot be
            written.
    """
    asked = asked or Submission()
    folder = Path(leaderboard)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", remedy="name the leaderboard folder: --leaderboard DIR")
    if asked.exposure is None and asked.exposure_note is not None:
        raise UsageError("a note on exposure without a level", remedy="give --exposure LEVEL too")
    checked = check_submission(Path(path))
    target = folder / record_place(checked)
    of_ids = [name for name in checked.task.metrics if parse_metric(name).of_pairs is not None]
    if of_ids:
        raise UsageError(
            f"{', '.join(of_ids)} needs to know which candidates stand first, and a submission does not hold that",
            remedy="evaluate again without it (--metrics)",
        )
    if asked.top_only:
        return _add_top(checked, target, folder)
    declared = _exposure(checked, target, asked.exposure, asked.exposure_note)
    record = publishable(shortened(checked.model_copy(update={"exposure": declared})))
    _refuse_links(folder, target)
    _refuse_clash(record, target, folder)
    replaced = target.exists() or ranks_path(target).exists()
    if replaced and not asked.replace:
        raise RecordError(
            f"{record.model.name} {target.parent.name} is on the leaderboard for {record.task.name} already",
            found=str(target),
            remedy="--replace puts this record in its place; a variant gets a name of its own: evaluate --name",
        )
    _check_sizes(record, folder, target)
    attested = _attestation(Path(path), target, record)
    save_record(record, target)
    for file in _attestation_files(target):
        put_in_place(file, record_digest(record) if file in attested else None)
    rules = {name for name, info in record.relevance.items() if info.ranks_file is not None}
    of_rules = [file for name, file in relevance_paths(target).items() if name in rules]
    files = [target, ranks_path(target), *attested, *of_rules, *([top_place(target)] if record.top else [])]
    attestation = attested[0] if attested else None
    level = stated_exposure(record, attested=attestation is not None).level
    return Submitted(target, files[1], replaced, attestation, _commands(record, files), level)


def _commands(record: Record, files: Sequence[Path]) -> list[str]:
    """Git commands that make a pull request of these files."""
    branch = f"submit-{folder_name(record.model.name)}-{folder_name(record.task.name)}".lower()
    commands = (
        ["git", "switch", "-c", branch],
        ["git", "add", *(file.as_posix() for file in files)],
        ["git", "commit", "-m", f"Submit {record.model.name} on {record.task.name}"],
        ["git", "push", "-u", "origin", branch],
    )
    return [shlex.join(command) for command in commands]


def _add_top(record: Result, target: Path, folder: Path) -> Submitted:
    """Put the best candidates of a record beside the submission at `target`, whose record stays as it is."""
    if record.top is None:
        raise RecordError(
            f"the record of {record.model.name} on {record.task.name} does not tell its best candidates",
            remedy="evaluate again with --overwrite",
        )
    if not target.is_file():
        raise RecordError(f"there is no submission {target} to add to", remedy="submit the record without --top-only")
    _refuse_links(folder, target)
    there = check_placed(target, folder)
    check_top(record.top, there.ranks)
    with atomic_path(top_place(target)) as temporary:
        save_top(record.top, temporary, small=True)
        check_file(temporary, MAX_TOP)
    level = stated_exposure(there, attested=attestation_of(target, there) is not None).level
    return Submitted(target, top_place(target), False, None, _commands(there, [top_place(target)]), level)


def _exposure(record: Record, target: Path, text: str | None, note: str | None) -> Exposure | None:
    """What is declared now; else what the record says; else what the submission of before said."""
    if text is not None:
        now, before = read_declaration(text, record.task.name, note=note), record.exposure
        # what a search found stays, and cannot be declared away; so do the languages that a training was on
        stays = {} if before is None else before.model_dump(include={"found", "languages"}, exclude_none=True)
        try:
            return Exposure.model_validate({**stays, **now.model_dump(exclude_none=True)})
        except ValidationError as error:
            raise UsageError(
                f"the declaration does not fit the record: {error.errors()[0]['msg']}",
                remedy="declare the level that was found",
            ) from None
    if record.exposure is None and target.is_file():
        try:
            return load_record(target, whole=False).exposure
        except RecordError as error:
            raise RecordError(
                f"the exposure that the submission of before declares cannot be read from {target}",
                found=error.fault,
                remedy="declare it: --exposure LEVEL",
            ) from error
    return record.exposure


def _attestation_files(record: Path) -> tuple[Path, Path]:
    return attestation_path(record), signature_path(attestation_path(record))


def _attestation(source: Path, target: Path, record: Record) -> list[Path]:
    """Let the attestation beside the record, and its signature, wait at the target.

    What stands there and belongs to the submission of before alone waits there too.
    """
    digest, files = record_digest(record), {}
    if attestation_of(source, record) is not None:
        for file, place in zip(_attestation_files(source), _attestation_files(target), strict=True):
            if now_at(file, digest).exists():
                files[place] = now_at(file, digest).read_bytes()  # a signature is of bytes
    with suppress(RecordError):
        before = load_record(target, whole=False)
        belong = dict.fromkeys(_attestation_files(target), record_digest(before))
        for name, info in before.relevance.items():
            if info.ranks_file is not None and name not in record.relevance:
                belong[relevance_paths(target)[name]] = info.ranks_file.digest
        for place, stated in belong.items():
            if place.is_file():  # it belongs to the submission that is replaced, as long as that is there
                place.replace(waiting_place(place, stated))
    for place, content in files.items():
        with atomic_path(waiting_place(place, digest)) as temporary:
            temporary.write_bytes(content)
    return list(files)


def _refuse_links(folder: Path, target: Path) -> None:
    """No symbolic link may lead a submission out of the folder."""
    places = [
        target,
        ranks_path(target),
        top_place(target),
        *relevance_paths(target).values(),
        target.parent,
        target.parent.parent,
    ]
    for place in places:
        if place.is_symlink():
            raise RecordError(f"{place} is a symbolic link", remedy="remove it from the leaderboard folder")
    if folder.exists() and not target.parent.resolve().is_relative_to(folder.resolve()):
        raise RecordError(f"{target} would lie outside {folder}", remedy="evaluate again with --name NAME")


def _refuse_clash(record: Record, target: Path, folder: Path) -> None:
    """No name that cannot be told apart from another on the board, and no ranks that stand there under another name."""
    entry = Entry.of(record, target.relative_to(folder).as_posix())
    for other in [*entries_of(folder), *_papers(folder)]:
        if other.path != entry.path and (fault := clash(entry, other)) is not None:
            raise RecordError(fault, remedy="evaluate again with the name on the board, or another one: --name NAME")


def _papers(folder: Path) -> list[Entry]:
    return [Entry(row.id, row.model) for row in read_published(folder)[0]]


def _check_sizes(record: Result, folder: Path, target: Path) -> None:
    """The files as they will be written must be as small as `verify` wants them."""
    with tempfile.TemporaryDirectory() as scratch:
        path = save_record(record, Path(scratch) / target.name)
        for file in sorted(Path(scratch).iterdir()):
            limit = max_ranks(record.task.name, short=record.short)
            limit = MAX_RECORD if file == path else MAX_TOP if file == top_place(path) else limit
            size = file.stat().st_size
            if size > limit:
                raise RecordError(
                    f"{file.name} would be too large for {folder}",
                    found=f"{size:,} bytes; at most {limit:,}",
                    remedy="evaluate again",
                )


# Figures from papers: files of their own, rows of their own.

MEAN_TOLERANCE = 0.00015
"""Means of four-digit figures differ by up to this from the printed mean."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedSource(_Part):
    """The paper."""

    citation: str
    url: str
    notes: list[str] = []


class PublishedFigure(_Part):
    """A printed figure, and those of each query language where they are printed."""

    value: float
    by_query_language: dict[str, float] = {}
    slip: str | None = Field(default=None, description="why the languages do not average to the value")


class PublishedModel(_Part):
    """One model on one task."""

    model: str
    variant: str
    task: str = Field(description="tasks that the leaderboard does not have are kept and not shown")
    notes: list[str] = []
    scores: dict[str, dict[str, PublishedFigure]] = Field(description="setting -> metric -> figure")


class PublishedFile(_Part):
    """One file: the figures of one paper."""

    published_version: Literal[1]
    source: PublishedSource
    rows: list[PublishedModel]


def load_published(path: Path) -> PublishedFile:
    """Read and check a file of published figures.

    Raises:
        RecordError: it does not have the form, or a figure is not possible.
        UnknownNameError, UsageError: a metric's name.
    """
    remedy = "docs/leaderboard.md describes files of published figures"
    try:
        published = strict_json.validate(PublishedFile, read_json(path))
    except ValidationError as error:
        raise RecordError(f"{path.name}: {strict_json.first_fault(error)}", remedy=remedy) from None
    seen, tasks = set(), board_tasks()
    for row in published.rows:
        check_name(row.model, remedy)
        name = f"{path.name}: {row.model} {row.variant} {row.task}"
        if (row.model, row.variant, row.task) in seen:
            raise RecordError(f"{name} stands there twice", remedy=remedy)
        seen.add((row.model, row.variant, row.task))
        if not row.variant.strip() or "/" in row.variant or any(map(unseen, row.variant)):
            raise RecordError(
                f"{name}: the variant is empty, or holds a slash or what cannot be seen",
                found=repr(row.variant),
                remedy=remedy,
            )
        languages = tasks[row.task].languages if row.task in tasks else None
        for setting, of_metric in row.scores.items():
            if setting not in SETTINGS:
                raise RecordError(f"{name}: there is no setting {setting!r}", remedy=remedy)
            for metric, figure in of_metric.items():
                where = f"{name}: {setting} {metric}"
                if setting not in parse_metric(metric).settings:
                    raise RecordError(f"{where} is not defined in that setting", remedy=remedy)
                if languages is not None and (strange := set(figure.by_query_language).difference(languages)):
                    raise RecordError(
                        f"{where} is of languages that the task does not have",
                        found=str(sorted(strange)),
                        remedy=remedy,
                    )
                pool = None if row.task not in tasks else sum(data_facts(tasks[row.task]).candidates.values())
                _check_figure(where, metric, figure, pool, remedy)
    return published


def _check_figure(name: str, metric: str, figure: PublishedFigure, pool: int | None, remedy: str) -> None:
    values = [figure.value, *figure.by_query_language.values()]
    least, most = parse_metric(metric).bounds
    last = float("inf") if pool is None else pool - 1.0  # what is counted in ranks ends with the pool
    in_pool = {"rank_distance": last, "max_rank": last + 1, "rank_variance_raw": last**2 / 4}.get(metric, most)
    if not all(least <= value <= in_pool for value in values):
        raise RecordError(f"{name} is out of bounds", found=str(values), remedy=remedy)
    if not figure.by_query_language:
        return
    mean = sum(figure.by_query_language.values()) / len(figure.by_query_language)
    near = abs(mean - figure.value) <= (MEAN_TOLERANCE if most == 1.0 else 0.15)
    if near == (figure.slip is not None):
        raise RecordError(
            f"{name}: the mean over languages {'is' if near else 'is not'} the printed figure",
            found=f"{mean:.4f} and {figure.value}",
            remedy="take the slip out" if near else "correct it, or explain it as a slip",
        )


def read_published(folder: Path) -> tuple[list[PublishedRow], list[Fault]]:
    """The rows of the tasks that the leaderboard has, by task, source, model and variant as printed; faulty files."""
    rows: list[PublishedRow] = []
    faults: list[Fault] = []
    order = list(board_tasks())
    for path in sorted((folder / PUBLISHED).glob("*.json")):
        try:
            published = load_published(path)
        except XqrBenchError as error:
            faults.append(Fault(_below(path, folder), one_line(error, folder)))
        else:
            rows += [_row(path.stem, published.source, row) for row in published.rows if row.task in order]
    return sorted(rows, key=lambda row: order.index(row.task)), faults


def _row(stem: str, source: PublishedSource, row: PublishedModel) -> PublishedRow:
    scores, bias, notes = {}, Bias(), [*source.notes, *row.notes]
    for setting, of_metric in row.scores.items():
        made = SettingFigures()
        for metric, figure in of_metric.items():
            part = made if parse_metric(metric).kind == "score" else bias
            part.macro[metric] = Figure(value=figure.value, n=0)
            for language, value in figure.by_query_language.items():
                part.by_query_language.setdefault(language, {})[metric] = Figure(value=value, n=0)
            if figure.slip is not None:
                notes.append(f"{setting} {metric}: {figure.slip}")
        scores[setting] = made
    return PublishedRow(
        id=f"{PUBLISHED}/{stem}/{row.model}/{row.variant}/{row.task}",
        task=row.task,
        model=row.model,
        variant=row.variant,
        source=Source(citation=source.citation, url=source.url),
        scores=scores,
        bias=bias,
        notes=notes,
    )


# All submissions of a leaderboard folder, checked.


_CLEARED = "what belongs to a record is put in its place, the next run clears away the rest"


class Fault(NamedTuple):
    """What is wrong with one file, in one line."""

    path: str
    text: str


class Verified(NamedTuple):
    """What `verify` found."""

    checked: int
    faults: list[Fault]
    reproduced: Counter[str]
    """Who ran encoders again, signed or not -> how many records."""


def one_line(error: XqrBenchError, folder: Path) -> str:
    """An error without its remedy, in one line, with paths below the folder."""
    text = shown_line("; ".join(part for part in (error.problem, error.found and f"found {error.found}") if part))
    return text.replace(f"{folder}/", "")


def check_placed(path: Path, folder: Path, *, observe: Observer | None = None, again: bool = True) -> Result:
    """Check a submission where it stands.

    Args:
        path: its record.
        folder: the leaderboard folder.
        observe, again: as of `check_submission`.

    Raises:
        XqrBenchError: the first fault.
    """
    record = check_submission(path, observe=observe, again=again)
    place, ranks = record_place(record), record.ranks_file.file
    for right, problem, found in (
        (path == folder / place, "the record stands in the wrong place", f"it belongs to {place}"),
        (ranks == ranks_path(path).name, "the record names another ranks file", ranks),
        (not local_paths(record), "the record holds paths of the machine it was made on", None),
    ):
        if not right:
            raise RecordError(problem, found=found, remedy="use xqr-bench submit")
    attestation_of(path, record)
    _finish(path, record)
    return record


def _finish(path: Path, record: Result) -> None:
    """Put the files of a checked record in their places, where a submission that was stopped left them waiting.

    Raises:
        RecordError: they cannot be put there, and what stands there is not theirs.
    """
    rules = {name for name, info in record.relevance.items() if info.ranks_file is not None}
    for name, file in relevance_paths(path).items():
        if name not in rules and file.exists():
            raise RecordError(f"{file.name} is no part of the record beside it", remedy="remove it, or submit again")
    settle(record, path)
    infos = [record.ranks_file, *(info.ranks_file for info in record.relevance.values())]
    files = [(path.with_name(str(info.file)), info.digest) for info in infos if info is not None]
    if record.top is not None:
        files.append((top_place(path), top_digest(record)))
    digest = record_digest(record)
    if now_at(attestation_path(path), digest).is_file():
        files += [(file, digest) for file in _attestation_files(path)]
    for place, stated in files:
        with suppress(OSError):
            if now_at(place, stated) != place:
                put_in_place(place, stated)
        if now_at(place, stated) != place:
            raise RecordError(
                f"{place.name} is not the record's: that waits beside it, left there by a submission that was stopped",
                remedy="let xqr-bench leaderboard verify write in the folder, or submit again with --replace",
            )


def attestation_of(path: Path, record: Record) -> Attestation | None:
    """The attestation beside a record, checked; None where there is none.

    Raises:
        XqrBenchError: it is not in order, or a signature stands there alone.
    """
    attestation, signature = _attestation_files(path)
    files = now_at(attestation, record_digest(record)), signature  # one that waits alone was left there
    there = any(file.exists() or file.is_symlink() for file in files)
    return load_attestation(attestation_path(path), record) if there else None


def verify(
    leaderboard: Path | str = "leaderboard",
    observe: Observer | None = None,
    read_study: Callable[[Path], object] | None = None,
) -> Verified:
    """Check every file of the leaderboard folder.

    Args:
        leaderboard: the folder.
        observe: hears of each submission, as a phase.
        read_study: reads the figures of the ratio study, or raises an XqrBenchError; None: they are not read.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(leaderboard)
    if not folder.is_dir():
        raise UsageError(f"there is no leaderboard folder {folder}", remedy="name it: xqr-bench leaderboard verify DIR")
    observe = observe or Observer()
    faults = []
    for path, why in strange_files(folder):
        if is_ours_left_behind(path, folder):
            observe.note(f"{_below(path, folder)}: left behind by a run that was stopped; {_CLEARED}")
        else:
            faults.append(Fault(_below(path, folder), why))
    faults += read_published(folder)[1]
    for figures in FIGURES:
        if read_study is not None and (folder / figures).exists():
            try:
                read_study(folder / figures)
            except XqrBenchError as error:
                faults.append(Fault(str(figures), one_line(error, folder)))
    entries: list[Entry] = []
    reproduced: Counter[str] = Counter()
    paths = record_paths(folder)
    for checked in _each(paths, folder, observe):
        if isinstance(checked, Fault):
            faults.append(checked)
            continue
        entry, by = checked
        entries.append(entry)
        if by is not None:
            reproduced[by] += 1
    faults += [Fault(shown_line(path), shown_line(why)) for path, why in clashes(entries, _papers(folder)).items()]
    return Verified(len(paths), faults, reproduced)


IN_ONE_PROCESS = 24
"""So many submissions are checked in this process; more of them are spread over one a core."""
_Checked = tuple[Entry, str | None] | Fault


def _each(paths: Sequence[Path], folder: Path, observe: Observer) -> Iterator[_Checked]:
    """Each submission where it stands: its entry and who attests it, or its fault."""
    if len(paths) <= IN_ONE_PROCESS:
        for path in paths:
            with observe.phase(_below(path, folder)):
                yield _checked(path, folder)
        return
    # spawned: a fork would not have the threads of the compiled tests
    with ProcessPoolExecutor(usable_cores(), mp_context=get_context("spawn")) as pool:
        found = pool.map(partial(_checked, folder=folder), paths)
        for path in paths:
            with observe.phase(_below(path, folder)):
                yield next(found)


def _checked(path: Path, folder: Path) -> _Checked:
    try:
        record = check_placed(path, folder)
        made = attestation_of(path, record)
    except XqrBenchError as error:
        return Fault(_below(path, folder), one_line(error, folder))
    by = None if made is None else signed_by(made.by, made.key)
    return Entry.of(record, path.relative_to(folder).as_posix()), by


def _below(path: Path, folder: Path) -> str:
    return shown_line(path.relative_to(folder).as_posix())
