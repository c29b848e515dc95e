"""`xqr-bench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xqr_bench.analysis.asked import Drawn, Look
from xqr_bench.cli.options import Draws
from xqr_bench.cli.printing import echo, echo_tables
from xqr_bench.core.options import Part, Place, takes


@click.command()
@click.argument("records", nargs=-1, type=Place(path_type=Path), metavar="RECORD...")
@takes(drawn=Drawn, look=Look, draws=Part(Draws))
@click.option(
    "-o", "--output", type=Place(path_type=Path), required=True, metavar="FILE", help="A .png, .svg or .pdf file."
)
def plot(records: tuple[Path, ...], output: Path, drawn: Drawn, look: Look, draws: dict[str, Any]) -> None:
    """Draw records at the width of a paper's column (3.3 inches), in colours that colour-blind readers tell apart.

    heatmap: language pairs of one record, or the difference of two, grey where it is not significant. languages: bars
    with intervals. forest: differences with intervals. bias: where each language stands in multilingual rankings.
    frontier: multilingual MAP against own-language first, coloured by monolingual MAP; the nearest records in
    monolingual MAP are printed beside it. A folder stands for all records below it.
    """
    from xqr_bench.record import record_files
    from xqr_bench.report.plots import frontier_of, plot_records

    records = tuple(record_files(records))
    written = plot_records(records, output, drawn, look, **draws)
    if drawn.kind == "frontier":
        echo_tables([frontier_of(records, drawn.relevance, look)])
    echo(f"plot: {written}")
