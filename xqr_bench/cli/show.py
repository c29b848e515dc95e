"""`xqr-bench show`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import click

from xqr_bench.analysis.asked import Look, Paper
from xqr_bench.cli.common import print_records
from xqr_bench.cli.options import PaperForm
from xqr_bench.cli.printing import echo, echo_json, echo_tables
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.options import Option, Part, Place, takes
from xqr_bench.core.types import MAIN_METRIC

if TYPE_CHECKING:
    from xqr_bench.record import Record
    from xqr_bench.report.table import Table


@dataclass(frozen=True, kw_only=True)
class Shown(PaperForm):
    """What is shown of records, and in which form.

    Attributes:
        full: Print all measures, not one screen.
        languages: Print the scores of each query language.
        metric: Of --languages.  [default: map]
        as_csv: Print all figures unrounded, one a line.
        as_json: Print all figures unrounded, as a JSON list.

    Raises:
        UsageError: options that contradict each other.
    """

    section: ClassVar = "Output"

    full: bool = False
    languages: bool = False
    metric: str | None = None
    as_csv: Annotated[bool, Option("--csv")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metric is not None and not self.languages:
            raise UsageError("--metric is given without --languages", remedy="give --languages too")
        forms = [name.removeprefix("as_") for name, asked in vars(self).items() if name.startswith("as_") and asked]
        others = [*(["languages"] if self.languages else []), *forms]
        if self.full and others:
            raise UsageError(f"--full and --{others[0]} exclude each other", remedy="give one of them")
        if self.metric is not None and (self.as_csv or self.as_json):
            raise UsageError("--csv and --json print every metric", remedy="leave --metric out")


@click.command()
@click.argument("records", nargs=-1, required=True, type=Place(path_type=Path), metavar="RECORD|DIR...")
@takes(shown=Shown, paper=Paper, look=Part(Look, only=("labels",)))
def show(records: tuple[Path, ...], shown: Shown, paper: Paper, look: dict[str, Any]) -> None:
    """Print records again, as evaluate did: one on a screen, several side by side.

    A folder stands for all records below it. A record that cannot be read is told and left out; exit code 1 then.
    """
    from xqr_bench.record import load_record, record_files
    from xqr_bench.report import brief, papers

    if not shown.as_latex:
        paper.refuse_without_latex()
    elif shown.languages:
        paper = replace(paper, table="languages")
    paths = list(dict.fromkeys(record_files(records)))
    one = len(paths) == 1
    several = not one and not shown.full
    details = one or shown.full or shown.languages or paper.table == "languages"
    read: list[tuple[Path, Record]] = []
    faults: list[XqrBenchError] = []
    for path in paths:
        try:
            # a submission's figures by language are computed from its ranks, which takes seconds
            read.append((path, load_record(path, whole=details)))
        except XqrBenchError as error:
            if one:
                raise
            faults.append(error)
    for fault in faults:
        echo(f"! left out: {fault}", err=True)
    if not read:
        raise faults[0]
    places, loaded = [path for path, _ in read], [record for _, record in read]
    names = brief.labels(loaded, list(map(str, places)))
    called = Look(**look).names(names)
    names = [called[name] for name in names]
    if shown.as_latex:
        echo(papers.records_latex(loaded, names, paper, shown.metric or MAIN_METRIC))
    elif shown.as_csv or shown.as_json:
        table = brief.exact_figures(loaded, names, languages=shown.languages)
        echo(table.csv(), nl=False) if shown.as_csv else echo_json(table.json())
    elif shown.as_markdown or shown.languages or several:
        tables = _by_language(loaded, names, shown.metric) if shown.languages else brief.side_by_side(loaded, names)
        echo_tables(tables, markdown=shown.as_markdown)
    elif look:
        raise UsageError("--labels is about several records, or a table", remedy="name more records, or leave it out")
    else:
        for name in dict.fromkeys(record.model.name for record in loaded):
            chosen = [number for number, record in enumerate(loaded) if record.model.name == name]
            print_records([loaded[n] for n in chosen], [places[n] for n in chosen], full=shown.full)
    if faults:
        raise SystemExit(1)


def _by_language(records: list[Record], names: list[str], metric: str | None) -> list[Table]:
    from xqr_bench.report.brief import by_language

    tables = []
    for task in dict.fromkeys(record.task.name for record in records):
        chosen = [number for number, record in enumerate(records) if record.task.name == task]
        tables += by_language([records[n] for n in chosen], [names[n] for n in chosen], metric)
    if not any(table.rows for table in tables):
        held = ", ".join(dict.fromkeys(name for record in records for name in record.task.metrics))
        raise UsageError(
            f"no record here has {metric or 'a score'} by query language",
            found=held,
            remedy="choose one of these with --metric",
        )
    return tables
