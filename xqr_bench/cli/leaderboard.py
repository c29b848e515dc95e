"""`xqr-bench leaderboard`, and its `build`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xqr_bench.cli.common import table_console
from xqr_bench.cli.printing import echo, echo_json
from xqr_bench.core.errors import XqrBenchError

# `xqr-bench leaderboard build`.


@click.command(short_help="Build the leaderboard as a static site.")
@click.option("--out", type=click.Path(), required=True, help="Folder of the site: new, empty, or a site built before.")
@click.option(
    "--leaderboard", "folder", type=click.Path(), default="leaderboard", show_default=True, help="The folder."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(),
    help="Build from this leaderboard JSON (of show --json) instead of the folder.",
)
@click.option(
    "--ratios",
    type=click.Path(),
    metavar="FILE",
    help="ratios.json, for the page of the batch ratio. Default: studies/ratio/ratios.json of the folder.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the first page.")
def build(out: str, folder: str, json_file: str | None, ratios: str | None, quiet: bool) -> None:
    """Build the leaderboard as pages that open from disk, without network or server.

    Needs the packages of `pip install 'xqr-bench[site]'`. The same leaderboard gives the same bytes.
    """
    from xqr_bench.board.files import RATIOS
    from xqr_bench.board.site import build_site, read_json
    from xqr_bench.report.ratios import load_ratios
    from xqr_bench.studies.ratio.page import ratio_page

    more = [] if ratios is None else [ratio_page(load_ratios(Path(ratios)))]
    if ratios is None and json_file is None and (Path(folder) / RATIOS).is_file():
        try:
            more = [ratio_page(load_ratios(Path(folder) / RATIOS))]
        except XqrBenchError as error:  # as a faulty submission: the others are built
            echo(f"left out: {RATIOS}: {error.problem}", err=True)
    if json_file is not None:
        board = read_json(Path(json_file))
    else:
        from xqr_bench.board.table import read_leaderboard

        board = read_leaderboard(folder, progress=None if quiet else lambda step: echo(step, err=True))
    written = build_site(board, out, more)
    for refused in [] if quiet else board.refused:
        echo(f"left out: {refused.path}: {refused.fault}", err=True)
    echo(written[0] if quiet else f"{len(written)} files; open {written[0]}")


# `xqr-bench leaderboard`.


@click.group()
def leaderboard() -> None:
    """Verify or show the leaderboard folder, or build a site from it."""


leaderboard.add_command(build)


@leaderboard.command(short_help="Check all submissions.")
@click.argument("folder", type=click.Path(), default="leaderboard", metavar="[DIR]")
@click.option("--quiet", is_flag=True, help="Print faults only.")
def verify(folder: str, quiet: bool) -> None:
    """Check every submission below DIR (default: leaderboard), and compute all its scores anew.

    Prints a line for each fault. Exit code 0 when there is none, 1 when there is one.
    """
    from xqr_bench.board.submissions import verify as verify_folder

    done = verify_folder(folder, None if quiet else lambda path: echo(f"checking {path}", err=True))
    for fault in done.faults:
        echo(f"{fault.path}: {fault.text}")
    if done.faults:
        raise SystemExit(1)
    if not quiet:
        echo(f"{done.checked} submissions are in order: all their scores follow from their ranks")


@leaderboard.command(short_help="Show the tables, or print the leaderboard JSON.")
@click.option(
    "--leaderboard", "folder", type=click.Path(), default="leaderboard", show_default=True, help="The folder."
)
@click.option("--task", help="Only this task.")
@click.option("--metric", default="map", show_default=True, help="Metric or bias measure.")
@click.option("--setting", "settings", multiple=True, help="Only this setting; repeat for more.")
@click.option("--language", help="Figures of the queries in this language.")
@click.option("--group", help="Figures of this language group, such as joshi-3.")
@click.option("--sort", help="A setting, model, date or status.  [default: multilingual]")
@click.option(
    "--exposure", "exposures", multiple=True, help="Only unexposed, unknown or exposed rows; repeat for more."
)
@click.option("--no-tests", is_flag=True, help="Do not mark rows that cannot be told apart from the best.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard JSON: all that tables and sites show.")
@click.pass_context
def show(ctx: click.Context, /, **options: Any) -> None:
    """Show submissions and published figures.

    Rows that cannot be told apart from the best, by a paired test on their stored ranks, are marked. Rows whose
    encoders were trained on the task's source or texts stand apart from those that declare none of it, and from those
    of which it is not known.
    """
    from xqr_bench.board.table import leaderboard_text, read_leaderboard
    from xqr_bench.board.terminal import EXPOSURE_TITLES, View, check_view
    from xqr_bench.board.terminal import show as rendered
    from xqr_bench.core.errors import UnknownNameError, UsageError
    from xqr_bench.core.types import SETTINGS

    for setting in options["settings"]:
        if setting not in SETTINGS:
            raise UnknownNameError("setting", setting, SETTINGS)
    for name in options["exposures"]:
        if name not in EXPOSURE_TITLES:
            raise UnknownNameError("class of exposure", name, EXPOSURE_TITLES)
    if options["as_json"]:
        commandline = click.core.ParameterSource.COMMANDLINE
        given = [name for name in ctx.params if ctx.get_parameter_source(name) == commandline]
        wrong = [name for name in given if name not in ("folder", "task", "no_tests", "as_json")]
        if wrong:
            raise UsageError(
                f"--json prints all figures: {', '.join(f'--{name}' for name in wrong)} cannot be used with it",
                remedy="leave it out",
            )
    board = read_leaderboard(options["folder"], task=options["task"], test=not options["no_tests"])
    if options["as_json"]:
        echo_json(leaderboard_text(board), nl=False)
        return
    view = View(
        metric=options["metric"],
        settings=tuple(name for name in SETTINGS if name in options["settings"]) or SETTINGS,
        language=options["language"],
        group=options["group"],
        sort=options["sort"],
        exposure=tuple(name for name in EXPOSURE_TITLES if name in options["exposures"]) or tuple(EXPOSURE_TITLES),
    )
    check_view(view, board)
    table_console().print(rendered(board, view))
