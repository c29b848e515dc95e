"""`xqr-bench plot`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from xqr_bench.cli.options import Draws
from xqr_bench.cli.printing import echo, echo_tables
from xqr_bench.core.options import Part, takes


@dataclass(frozen=True)
class Drawn:
    """What is drawn: arguments of `plot_records`.

    Attributes:
        kind: heatmap (default for one record), languages, forest (default for more), bias, frontier.
        metric: What is drawn; bias draws language_position.
        setting: Of `languages` (default: multilingual) and `forest` (default: all).
        relevance: strict, lenient or paragraph; not of bias.
    """

    kind: str | None = None
    metric: str = "map"
    setting: str | None = None
    relevance: str = "strict"


@click.command()
@click.argument("records", nargs=-1, type=click.Path(path_type=Path), metavar="RECORD...")
@takes(drawn=Part(Drawn), draws=Part(Draws))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="A .png, .svg or .pdf file."
)
def plot(records: tuple[Path, ...], output: Path, drawn: dict[str, Any], draws: dict[str, Any]) -> None:
    """Draw records at the width of a paper's column (3.3 inches), in colours that colour-blind readers tell apart.

    heatmap: language pairs of one record, or the difference of two, grey where it is not significant. languages: bars
    with intervals. forest: differences with intervals. bias: where each language stands in multilingual rankings.
    frontier: multilingual MAP against own-language first, coloured by monolingual MAP; the nearest records in
    monolingual MAP are printed beside it.
    """
    from xqr_bench.report.plots import plot_records

    written = plot_records(records, output, **drawn, **draws)
    if drawn.get("kind") == "frontier":
        from xqr_bench.report.plots import frontier_of

        echo_tables([frontier_of(records, drawn["relevance"])])
    echo(f"plot: {written}")
