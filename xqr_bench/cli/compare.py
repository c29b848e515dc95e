"""`xqr-bench compare`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import click

from xqr_bench.analysis.asked import Choice, Look, Paper
from xqr_bench.cli.options import Draws, PaperForm
from xqr_bench.cli.printing import echo, echo_json, table_console
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Option, Part, Place, SectionOption, Sections, takes
from xqr_bench.core.types import MAIN_METRIC


@dataclass(frozen=True, kw_only=True)
class Shown(PaperForm):
    """How the comparison is shown.

    Attributes:
        full: Print all tests, groups, worst languages and the power of the tests, not one screen.
    """

    section: ClassVar = "Output"

    full: bool = False


@dataclass(frozen=True)
class Plotted:
    """The plot of a comparison.

    Attributes:
        plot: Also draw the comparison: .png, .svg, .pdf.
        kind: What --plot draws: forest (default), heatmap, languages, bias or frontier.

    Raises:
        UsageError: a kind without a plot.
    """

    section: ClassVar = "Plot"

    plot: Annotated[Path | None, Option(metavar="FILE")] = None
    kind: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.plot is None:
            raise UsageError("--kind says what --plot draws", remedy="give --plot FILE too")


FIRST = ["--full", "--metric", "--language", "--group", "--plot", "--json", "--markdown", "--latex"]
"""What most users need first."""


@click.command(cls=Sections, first=FIRST)
@click.argument("records", nargs=-1, type=Place(path_type=Path), metavar="RECORD RECORD...")
@takes(choice=Choice, draws=Part(Draws), shown=Shown, paper=Paper, look=Look, plotted=Plotted)
@click.option(
    "--adjust",
    cls=SectionOption,
    section="Exploratory cells",
    help="For what is chosen so: max-t (default for two records), which bounds the chance of any false difference, or "
    "bh (Benjamini-Hochberg, default for more), which bounds the share of false ones: by article, over 110 equal "
    "language pairs, it calls some different in 9 to 22 of 100 cases (max-T: in 3 to 4).",
)
def compare(
    records: tuple[Path, ...],
    choice: Choice,
    draws: dict[str, Any],
    shown: Shown,
    paper: Paper,
    look: Look,
    plotted: Plotted,
    adjust: str | None,
) -> None:
    """Compare records of the same task: differences with intervals, tests and effect sizes.

    MAP in each setting is the confirmatory family, adjusted by Holm (more than two records: by max-T
    over all pairs). What
    --metric, --setting, --language and --group choose is exploratory and adjusted apart. Without them, the language
    groups are compared where a record says in which languages its model was trained. Records of several tasks may be
    given; each task needs two or more. A folder stands for all records below it.

    A verdict is about these weights in these languages, not about a way of training: of several seeds of two arms
    (records that share a `run_group` but for its seed) the arms are compared over seeds and questions too.
    """
    from xqr_bench.analysis.compare import compare as compare_records
    from xqr_bench.record import record_files
    from xqr_bench.report import brief, comparison, papers, plots, verdict

    if not shown.as_latex:
        paper.refuse_without_latex()
    elif paper.table == "languages" and not choice.languages:
        choice = replace(choice, metrics=choice.metrics or (MAIN_METRIC,), languages=("all",))
    if plotted.plot is None and (look.title is not None or look.size is not None):
        raise UsageError("--title and --size are about a figure", remedy="give --plot FILE too")
    records = tuple(record_files(records))
    kind = plotted.kind or "forest"
    if plotted.plot is not None:
        plots.check_plot(kind, plotted.plot)
        plots.check_relevance(choice.relevance, kind)
    tasks = plots.called(compare_records(records, choice, adjust=adjust, **draws), look)
    if shown.as_json:
        echo_json(comparison.comparison_json(tasks))
    elif shown.as_markdown:
        echo(comparison.comparison_markdown(tasks))
    elif shown.as_latex:
        echo(papers.comparison_latex(tasks, paper))
    else:
        console = table_console()
        width = min(console.width, brief.WIDTH)
        show = comparison.comparison_tables if shown.full else partial(verdict.comparison_brief, width=width)
        console.print(*map(show, tasks), sep="\n", width=None if shown.full else width)
    if plotted.plot is not None:
        echo(f"plot: {plots.plot_comparison(tasks, records, kind, plotted.plot, choice, look, **draws)}", err=True)
