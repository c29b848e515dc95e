"""`xqr-bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xqr_bench.cli.common import beside_package
from xqr_bench.cli.printing import console, echo
from xqr_bench.core.printable import markdown_shown

PAGE = "ratios.html"
PUBLISHED = Path("leaderboard") / "published" / "elmahdy-2024.json"
PLAN = Path("docs") / "ratio-study-plan.md"


@click.group(short_help="What a study found: page, plots, figures.")
def report() -> None:
    """Report what a study found."""


@report.command(short_help="The ratio study: page, plots, tables, ratios.json.")
@click.argument("study", type=click.Path(), metavar="STUDY_FOLDER")
@click.option("--output", "-o", type=click.Path(file_okay=False), required=True, help="Folder of the report.")
@click.option(
    "--condition", "conditions", multiple=True, help="Only this condition; repeat for more. Default: all there."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option("--resamples", type=int, default=10_000, show_default=True, help="Of the two-way bootstrap.")
@click.option("--plan", type=click.Path(), help="The study's plan: runs made under another text are told apart.")
@click.option("--published", type=click.Path(), help="The paper's figures. Default: the leaderboard's, in a checkout.")
@click.option("--data-dir", type=click.Path(), help="Folder with the data files of tasks. Default: XQR_BENCH_DATA.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print all tables in Markdown.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the page.")
def ratios(study: str, **options: Any) -> None:
    """Report what the sweep in STUDY_FOLDER found, as docs/ratio-study-plan.md promises.

    Needs the folder's results only, no model, and the tasks' texts for the figures without what they share. Writes
    ratios.json (all figures), ratios.html (one file) and plots/ (PNG and SVG). The same folder and seed give the same
    bytes. Needs the packages of `pip install 'xqr-bench[site]'`.
    """
    from xqr_bench.board.site.html import environment
    from xqr_bench.studies.ratio.findings import Asked, build_ratios
    from xqr_bench.studies.ratio.form import FILE, save_ratios
    from xqr_bench.studies.ratio.page import write_report_page
    from xqr_bench.studies.ratio.plots import draw_ratio
    from xqr_bench.studies.ratio.tables import condition_tables, study_tables
    from xqr_bench.studies.ratio.words import sentences

    environment()  # says what is missing before anything is computed
    quiet = options["quiet"] or options["as_markdown"]
    found = build_ratios(
        Asked(
            Path(study).expanduser(),
            Path(options["plan"]).expanduser() if options["plan"] else beside_package(PLAN),
            options["seed"],
            options["resamples"],
            options["conditions"],
            _published(options["published"]),
            options["data_dir"],
            (lambda text: None) if quiet else (lambda text: echo(text, err=True)),
        )
    )
    folder = Path(options["output"]).expanduser()
    save_ratios(found, folder / FILE)
    page = write_report_page(found, folder / PAGE, FILE)
    drawn = [path for condition in found.conditions for path in draw_ratio(condition, folder / "plots")]
    if options["as_markdown"]:
        for condition in found.conditions:
            echo(f"## {markdown_shown(f'{condition.name}: {condition.about}')}\n")
            echo("".join(f"- {markdown_shown(text)}\n" for text in sentences(found, condition)))
            for table in condition_tables(found, condition):
                echo(table.markdown() + "\n")
        for table in study_tables(found):
            echo(table.markdown() + "\n")
    elif options["quiet"]:
        echo(page)
    else:
        _say(found)
        echo(f"{folder / FILE}, {len(drawn)} plots; open {page}")


def _say(found: Any) -> None:
    from xqr_bench.studies.ratio.words import origins, sentences

    for condition in found.conditions:
        console().print(f"{condition.name}: {condition.about}", style="bold", soft_wrap=True)
        for text in sentences(found, condition):
            echo(f"- {text}")
        for name, value in origins(found, condition)[1:]:
            echo(f"  {name}: {value}")
        for one in condition.medians:
            echo(f"  median seed of {one.arm}: {one.seed} ({one.record})")
    for text in found.missing:
        echo(f"not here: {text}")


def _published(given: str | None) -> Path | None:
    if given is not None:
        return Path(given).expanduser()
    path = beside_package(PUBLISHED)
    return path if path.is_file() else None
