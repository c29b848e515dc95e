"""`xqr-bench plot`."""

from __future__ import annotations

import click

from xqr_bench.cli.common import table_console
from xqr_bench.cli.printing import echo


@click.command(short_help="Draw records: heat maps, bars by language, differences, bias.")
@click.argument("records", nargs=-1, type=click.Path(), metavar="RECORD...")
@click.option("--kind", help="heatmap (default for one record), languages, forest (default for more), bias, frontier.")
@click.option("--metric", default="map", show_default=True, help="What is drawn; bias draws language_position.")
@click.option("--setting", help="Of `languages` (default: multilingual) and `forest` (default: all).")
@click.option("--relevance", default="strict", show_default=True, help="strict, lenient or paragraph; not of bias.")
@click.option("--output", "-o", type=click.Path(), required=True, metavar="FILE", help="A .png, .svg or .pdf file.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the tests behind a difference.")
@click.option("--resamples", type=int, default=10_000, show_default=True, help="Of those tests.")
def plot(
    records: tuple[str, ...],
    kind: str | None,
    metric: str,
    setting: str | None,
    relevance: str,
    output: str,
    seed: int,
    resamples: int,
) -> None:
    """Draw records at the width of a paper's column (3.3 inches), in colours that colour-blind readers tell apart.

    heatmap: language pairs of one record, or the difference of two, grey where it is not significant. languages: bars
    with intervals. forest: differences with intervals. bias: where each language stands in multilingual rankings.
    frontier: multilingual MAP against own-language first, coloured by monolingual MAP; the nearest records in
    monolingual MAP are printed beside it.
    """
    from pathlib import Path

    from xqr_bench.report.plots import plot_records

    paths = [Path(record) for record in records]
    written = plot_records(
        paths,
        Path(output),
        kind,
        metric=metric,
        setting=setting,
        relevance=relevance,
        seed=seed,
        resamples=resamples,
    )
    if kind == "frontier":
        from xqr_bench.record import load_record
        from xqr_bench.report.charts import under
        from xqr_bench.report.frontier import frontier_table, points_of

        loaded = [load_record(path) for path in paths]
        title = loaded[0].task.title + under(relevance)
        table_console().print(*frontier_table(points_of(loaded, relevance), title).rich(), sep="\n")
    echo(f"plot: {written}")
