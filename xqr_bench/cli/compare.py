"""`xqr-bench compare`."""

from __future__ import annotations

from typing import Any

import click

from xqr_bench.cli.common import table_console
from xqr_bench.cli.printing import echo, echo_json
from xqr_bench.core.errors import UsageError

FORMATS = ("json", "markdown", "latex")


@click.command(short_help="Which differences between records are real, and how large.")
@click.argument("records", nargs=-1, type=click.Path(), metavar="RECORD RECORD...")
@click.option("--metric", "metrics", multiple=True, help="Also compare this metric; repeat for more, or `all`.")
@click.option("--setting", "settings", multiple=True, help="Beside MAP, only this setting; repeat for more.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    help="Also compare this query language or pair (`th`, `en>de`) and its gap to English; or `all`.",
)
@click.option("--group", "groups", multiple=True, help="Also compare this language group and its gap; or `all`.")
@click.option(
    "--adjust",
    help="For what is chosen so: max-t (default for two records) or bh (default for more).",
)
@click.option(
    "--relevance", default="strict", show_default=True, help="strict, lenient or paragraph (docs/relevance.md)."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option("--resamples", type=int, default=10_000, show_default=True, help="Of the randomisation tests.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables in Markdown.")
@click.option("--latex", "as_latex", is_flag=True, help="Print the tables for LaTeX (booktabs).")
@click.option("--plot", "plot", type=click.Path(), metavar="FILE", help="Also draw the comparison: .png, .svg, .pdf.")
@click.option("--kind", help="What --plot draws: forest (default), heatmap, languages, bias or frontier.")
def compare(records: tuple[str, ...], **options: Any) -> None:
    """Compare records of the same task: differences with intervals, tests and effect sizes.

    MAP in each setting is the confirmatory family, adjusted by Holm (more than two records: Tukey HSD first). What
    --metric, --setting, --language and --group choose is exploratory and adjusted apart. Without them, the language
    groups are compared. Records of several tasks may be given; each task needs two or more.
    """
    from pathlib import Path

    from xqr_bench.analysis.choice import Choice
    from xqr_bench.analysis.compare import compare as compare_records

    wanted = [name for name in FORMATS if options[f"as_{name}"]]
    if len(wanted) > 1:
        raise UsageError(f"--{wanted[0]} and --{wanted[1]} exclude each other", remedy="give one of them")
    if options["kind"] is not None and options["plot"] is None:
        raise UsageError("--kind says what --plot draws", remedy="give --plot FILE too")
    if options["plot"] is not None:
        from xqr_bench.report.plots import check_plot, check_relevance

        check_plot(options["kind"] or "forest", options["plot"])
        check_relevance(options["relevance"], options["kind"] or "forest")
    choice = Choice(
        options["metrics"], options["settings"], options["languages"], options["groups"], options["relevance"]
    )
    paths = [Path(record) for record in records]
    numbers = {"seed": options["seed"], "resamples": options["resamples"]}
    found = compare_records(paths, choice, adjust=options["adjust"], **numbers)
    _show(found, wanted[0] if wanted else None)
    if options["plot"] is not None:
        from xqr_bench.report.plots import plot_comparison

        written = plot_comparison(found, paths, options["kind"] or "forest", Path(options["plot"]), choice, **numbers)
        echo(f"plot: {written}", err=True)


def _show(found: Any, form: str | None) -> None:
    if form is not None:
        from xqr_bench.report import comparison

        (echo_json if form == "json" else echo)(getattr(comparison, f"comparison_{form}")(found))
        return
    from xqr_bench.report.comparison import comparison_tables

    console = table_console()
    for task in found:
        console.print(comparison_tables(task))
