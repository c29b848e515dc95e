"""`xqr-bench report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import click

from xqr_bench.cli.common import beside_package, study_plan
from xqr_bench.cli.printing import console, echo, echo_tables
from xqr_bench.cli.sweep import IN_FILE
from xqr_bench.core.options import Option, Place, takes

PAGE = "ratios.html"
PUBLISHED = Path("leaderboard") / "published" / "elmahdy-2024.json"


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What is reported, and where.

    Attributes:
        output: Folder of the report.
        conditions: Only this condition; repeat for more. Default: all there.
        arms: Only this arm, with all seeds that those named share; repeat for more. Default: all there.
        seed: Of every draw.
        resamples: Of the two-way bootstrap.
        study: The file that the sweep was made from, of a study of your own.
        plan: The study's plan: runs made under another text are told apart. Default: that of the built-in study, or the
            file.
        published: The paper's figures. Default: the leaderboard's, in a checkout.
        data_dir: Folder with the data files of tasks. Default: XQR_BENCH_DATA.
        markdown: Print all tables in Markdown.
        quiet: Print nothing but the path of the page.
    """

    output: Annotated[Path, Option("-o --output", type=Place(file_okay=False))]
    conditions: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    seed: int = 0
    resamples: int = 10_000
    study: Path | None = None
    plan: Path | None = None
    published: Path | None = None
    data_dir: Path | str | None = None
    markdown: bool = False
    quiet: bool = False


@click.group()
def report() -> None:
    """Report what a study found."""


@report.command(short_help="The ratio study: page, plots, tables, ratios.json.")
@click.argument("study_folder", type=Place(path_type=Path))
@takes(asked=Reported)
def ratios(study_folder: Path, asked: Reported) -> None:
    """Report what the sweep in STUDY_FOLDER found, as docs/ratio-study-plan.md promises.

    Needs the folder's results only, no model, and the tasks' texts for the figures without what they share. Writes
    ratios.json (all figures), sums-CONDITION.npz (what p-values needs), ratios.html and plots/ (PNG and SVG). The same
    folder and seed give the same bytes. Needs the packages of `pip install 'xqr-bench[site]'`.
    """
    from xqr_bench.studies.ratio.form import FILE, refuse_other_folder, save_ratios

    folder = study_folder.expanduser()
    refuse_other_folder(folder)  # before half a minute of imports
    from xqr_bench.board.site.html import environment
    from xqr_bench.studies.ratio.design import conditions_of, plan_of
    from xqr_bench.studies.ratio.findings import Asked, build_ratios
    from xqr_bench.studies.ratio.page import write_report_page
    from xqr_bench.studies.ratio.plots import draw_ratio
    from xqr_bench.studies.ratio.pvalues import SUMS
    from xqr_bench.studies.ratio.results import load_results
    from xqr_bench.studies.ratio.study_file import built_in, read_study
    from xqr_bench.studies.ratio.sums import save_sums
    from xqr_bench.studies.ratio.tables import ratios_markdown

    environment()  # says what is missing before anything is computed
    own = built_in() if asked.study is None else read_study(asked.study, IN_FILE)
    if own.path is None:
        plan = study_plan(asked.plan, plan_of(asked.conditions or conditions_of(folder)))
    else:
        plan = asked.plan or (own.values or {}).get("plan") or own.path  # as sweep takes it
    published = asked.published or beside_package(PUBLISHED)
    quiet = asked.quiet or asked.markdown
    figures = build_ratios(
        Asked(
            folder,
            plan,
            asked.seed,
            asked.resamples,
            asked.conditions,
            asked.arms,
            published if asked.published is not None or published.is_file() else None,
            asked.data_dir if asked.data_dir is not None else (own.values or {}).get("data_dir"),
            (lambda text: None) if quiet else (lambda text: echo(text, err=True)),
            own,
        )
    )
    save_ratios(figures, asked.output / FILE)
    for condition in figures.conditions:
        results = load_results(folder, condition.name, among=asked.arms, study=own)
        own_language = own.conditions[condition.name].own_language
        save_sums(results, asked.output / SUMS.format(condition.name), own_language=own_language)
    page = write_report_page(figures, asked.output / PAGE, FILE)
    plots = [path for condition in figures.conditions for path in draw_ratio(condition, asked.output / "plots")]
    if asked.markdown:
        echo(ratios_markdown(figures))
    elif asked.quiet:
        echo(page)
    else:
        _say(figures)
        echo(f"{asked.output / FILE}, {len(plots)} plots; open {page}")


@report.command("p-values", short_help="The ratio study: its tests again, from its published files alone.")
@click.argument("folder", type=Place(path_type=Path), default="leaderboard/studies/ratio", metavar="[FOLDER]")
@click.option("--full", is_flag=True, help="Show tests of every checkpoint, raw and centred, and all scores.")
@click.option("--markdown", is_flag=True, help="Print the tables in Markdown.")
def p_values(folder: Path, full: bool, markdown: bool) -> None:
    """Compute the figures in ratios.json of FOLDER (default: leaderboard/studies/ratio) again, without the runs.

    Each p of t is computed, and, of raw vectors after all updates, each p by bootstrap, the MAP of each arm and each
    difference of arms with their intervals, where sums-CONDITION.npz stands beside ratios.json; report ratios writes
    both. What was not computed is said. Exit code 0 when no figure differs from the one stated, 1 when one does.
    """
    from xqr_bench.studies.ratio.pvalues import again_tables, p_values_again, p_values_summary

    found = p_values_again(folder.expanduser())
    if tables := again_tables(found, full=full):
        echo_tables(tables, markdown=markdown)
    for text in p_values_summary(found):
        echo(text)
    if any(one.differs for one in found):
        raise SystemExit(1)


def _say(found: Any) -> None:
    from xqr_bench.studies.ratio.tables import ends_said, origins, sentences

    for condition in found.conditions:
        console().print(f"{condition.name}: {condition.about}", style="bold", soft_wrap=True)
        for text in [*ends_said(condition), *sentences(found, condition)]:
            echo(f"- {text}")
        for name, value in origins(found, condition)[1:]:
            echo(f"  {name}: {value}")
        for one in condition.medians:
            echo(f"  median seed of {one.arm}: {one.seed} ({one.record})")
    for text in found.missing:
        echo(f"not here: {text}")
