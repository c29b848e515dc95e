"""`xqr-bench run`: the records that a file of models x tasks x variants asks for."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from xqr_bench.cli.common import if_stopped
from xqr_bench.cli.evaluate import tell_what_runs
from xqr_bench.cli.printing import echo, echo_tables
from xqr_bench.core.errors import UsageError, XqrBenchError, located
from xqr_bench.core.files import read_text, write_text
from xqr_bench.core.options import Place, takes

if TYPE_CHECKING:
    from xqr_bench.cli.run_file import Entry, RunFile
    from xqr_bench.evaluation.ranker import Ranker
    from xqr_bench.report.table import Table

State = Literal["made", "there", "failed", "failed before"]


@dataclass(frozen=True)
class Outcome:
    """What became of an entry.

    Attributes:
        entry: the entry.
        state: "made": its record was made now; "there": it was there and answers; "failed before": it was left out.
        error: why it failed.
    """

    entry: Entry
    state: State
    error: str | None = None

    @property
    def well(self) -> bool:
        """Whether there is a record."""
        return self.state in ("made", "there")


def failed_before(entry: Entry) -> bool:
    """Whether an entry failed and has no record since."""
    return entry.failed.is_file() and not entry.path.exists()


def make_records(runs: RunFile, *, retry: bool = False) -> Iterator[Outcome]:
    """Make the records that are missing; those of one model share it, and whether a record answers is asked of it.

    An entry that fails leaves a file beside where its record would stand, and the rest go on.

    Args:
        runs: what is asked for.
        retry: do those too that failed before.

    Yields:
        what became of each entry, in order.

    Raises:
        XqrBenchError: it cannot even be written down that an entry failed.
    """
    number = 0
    for _, sharing in groupby(runs.entries, key=lambda entry: entry.shares):
        entries = list(sharing)
        with ExitStack() as stack:
            loaded: Ranker | Exception | None = None
            for entry in entries:
                number += 1
                title = f"[{number} of {len(runs.entries)}] {entry.name} on {entry.task.name}"
                if not retry and failed_before(entry):
                    entry.session.say(f"{title} failed before and is left out (--retry tries it again)")
                    yield Outcome(entry, "failed before", _first_line(entry.failed))
                    continue
                entry.session.say(title)
                try:
                    if loaded is None:
                        try:
                            loaded = stack.enter_context(entry.request.loaded())
                        except Exception as error:
                            loaded = error
                    if isinstance(loaded, Exception):
                        raise loaded
                    outcome = _make(entry, loaded)
                except Exception as error:
                    outcome = _failed(entry, error)
                yield outcome


def _make(entry: Entry, loaded: Ranker) -> Outcome:
    with entry.request.ranker(loaded) as ranker:
        ranker.name = entry.name
        tell_what_runs(entry.session, ranker, entry.request.store)
        entry.session.records(ranker, entry.arguments)
    entry.failed.unlink(missing_ok=True)
    return Outcome(entry, "made" if entry.session.kept else "there")


def _failed(entry: Entry, error: Exception) -> Outcome:
    """Write down that an entry failed; beside a record of another request nothing is written: it is not to be done."""
    from xqr_bench.cli.run_file import file_keys

    told = file_keys().in_keys(str(error)) if isinstance(error, XqrBenchError) else located(error)
    entry.session.say(f"! failed: {told}")
    if not entry.path.exists():
        whole = "".join(traceback.format_exception(error))
        write_text(entry.failed, f"{told}\n\nThe same command with --retry tries it again.\n\n{whole}")
    return Outcome(entry, "failed", told.partition("\n")[0])


def _first_line(path: Path) -> str:
    try:
        return read_text(path).partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return "its file of the error cannot be read"


def summary(runs: RunFile, outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], list[Table]]:
    """The columns of the summary, a row an entry, and the tables for people.

    Raises:
        RecordError: a record cannot be read any more.
    """
    import numpy as np

    from xqr_bench.record import load_record
    from xqr_bench.report.summary import summary_columns, summary_figures, summary_tables

    records = [load_record(one.entry.path, whole=False) if one.well else None for one in outcomes]
    options = dict.fromkeys(key for entry in runs.entries for key in entry.variant if key != "name")
    rows: list[dict[str, Any]] = []
    for one, record in zip(outcomes, records, strict=True):
        entry = one.entry
        row: dict[str, Any] = {"name": entry.name, "task": entry.task.name, "model": entry.request.model}
        row |= {key: _cell(entry.variant.get(key)) for key in options}
        row |= {"state": one.state, "record": str(entry.path) if one.well else None, "error": one.error}
        rows.append(row | ({} if record is None else summary_figures(record)))
    columns: dict[str, Any] = {**summary_columns(rows)}
    for key in options:  # as objects: in a column of numbers and gaps pandas makes 128 a 128.0
        columns[key] = np.array(columns[key], dtype=object)
    return columns, summary_tables([record for record in records if record is not None])


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else str(value)


def write_summary(runs: RunFile, columns: dict[str, Any]) -> None:
    """Write the summary as CSV."""
    from xqr_bench.core.frames import data_frame

    write_text(runs.summary, data_frame(columns, "pandas").to_csv(index=False, lineterminator="\n"))


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a file of runs is done.

    Attributes:
        dry_run: Print which records are to be made and which are there; load and write nothing.
        retry: Try again what failed before.
        overwrite: Make all records again.
        quiet: Print nothing but the path of the summary.

    Raises:
        UsageError: options that contradict each other.
    """

    dry_run: bool = False
    retry: bool = False
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.dry_run and self.quiet:
            raise UsageError("--quiet leaves nothing of --dry-run", remedy="leave one of them out")


@click.command()
@click.argument("file", type=Place(path_type=Path, dir_okay=False), metavar="FILE")
@takes(running=Running)
def run(file: Path, running: Running) -> None:
    """Make the records that FILE asks for: models x tasks x variants, in TOML (docs/run.md).

    All of FILE is checked before anything is loaded. A model is loaded once, its vectors are kept in the embedding
    store, and each record is saved when its task is done. The same command goes on where it was stopped; what failed
    is left out until --retry. Exit code 1: a record is missing.

    \b
    output = "results"
    tasks = ["xquad-r", "mlqa-r"]
    [[model]]
    model = "intfloat/multilingual-e5-small"
    query_prompt = "query: "
    candidate_prompt = "passage: "
    [[variant]]
    [[variant]]
    transform = "center"
    """
    from xqr_bench.cli.run_file import read_run_file

    runs = read_run_file(file, overwrite=running.overwrite, quiet=running.quiet)
    if running.dry_run:
        _print_plan(runs, retry=running.retry)
        return
    runs.entries[0].session.say(_plan_line(runs, retry=running.retry))
    outcomes: list[Outcome] = []
    with if_stopped(lambda: _how_to_go_on(runs)):
        outcomes += make_records(runs, retry=running.retry)
    columns, tables = summary(runs, outcomes)
    write_summary(runs, columns)
    failures = [one for one in outcomes if not one.well]
    if not running.quiet:
        echo_tables(tables)
        for one in failures:
            echo(f"{one.state}: {one.entry.name} on {one.entry.task.name}: {one.error}", err=True)
            if one.entry.failed.is_file():
                echo(f"  more: {one.entry.failed}", err=True)
    echo(str(runs.summary) if running.quiet else f"summary: {runs.summary}")
    if failures:
        raise _missing(file, failures, len(outcomes))


def _missing(file: Path, failures: Sequence[Outcome], number: int) -> XqrBenchError:
    """What is not as the file asks: where a record of before stands, trying again alone does not replace it."""
    stale = sum(one.entry.path.exists() for one in failures)
    missing = len(failures) - stale
    parts = [f"{missing} of {number} records {'is' if missing == 1 else 'are'} missing"] if missing else []
    parts += [f"{stale} of {number} records {'was' if stale == 1 else 'were'} left as before"] if stale else []
    remedies = [f"mend what failed, then: xqr-bench run {file} --retry"] if missing else []
    if stale:
        remedies.append(
            f"to make all records anew: xqr-bench run {file} --overwrite; to keep both: another name or output"
        )
    return XqrBenchError(" and ".join(parts), remedy="; ".join(remedies))


def _states(runs: RunFile) -> list[str]:
    return [
        "record there" if one.path.exists() else "failed before" if failed_before(one) else "to do"
        for one in runs.entries
    ]


def _plan_line(runs: RunFile, *, retry: bool) -> str:
    """How many records are asked for, and how many are there; whether those answer is known when a model is loaded."""
    states = _states(runs)
    parts = [f"{states.count('record there')} there", f"{states.count('to do')} to do"]
    if failed := states.count("failed before"):
        parts.append(f"{failed} that failed before{'' if retry else ' (--retry tries them again)'}")
    number = len(runs.entries)
    return f"{number} record{'s' * (number != 1)} in {runs.output}: {', '.join(parts)}"


def _print_plan(runs: RunFile, *, retry: bool) -> None:
    from xqr_bench.report.table import Column, Table

    rows = [[entry.name, entry.task.name, state] for entry, state in zip(runs.entries, _states(runs), strict=True)]
    heads = Column("record", "name"), Column("task", "name"), Column("", "word")
    echo_tables([Table("", heads, rows, frame="open")])
    echo(_plan_line(runs, retry=retry))
    echo("dry run: nothing was loaded or written")


def _how_to_go_on(runs: RunFile) -> str:
    there = sum(entry.path.exists() for entry in runs.entries)
    return f"{there} of {len(runs.entries)} records are in {runs.output}; the same command goes on"
