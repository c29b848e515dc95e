"""`xqr-bench leaderboard`: verify, show, build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from xqr_bench.board.asked import View
from xqr_bench.cli.printing import echo, echo_json, table_console
from xqr_bench.cli.progress import LineProgress, NoteProgress
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.options import Option, Place, takes


@dataclass(frozen=True)
class Source:
    """Where the leaderboard is.

    Attributes:
        leaderboard: The leaderboard folder.
    """

    leaderboard: Path = Path("leaderboard")


@dataclass(frozen=True)
class Site:
    """What the site is built from.

    Attributes:
        json: Build from this leaderboard JSON (of show --json) instead of the folder.
        ratios: ratios.json, for the pages of the batch ratio. Default: those of the studies in the folder.
        texts: Show the questions and sentences of tasks whose licence lets them be passed on, where the data is here.
        noncommercial: With --texts: also of tasks whose licence excludes commercial use (MLQA-R): the site then may
            not be used for it.
        data_dir: With --texts: the folder with the data files. Default: XQR_BENCH_DATA, else the cache.
        quiet: Print nothing but the path of the first page.

    Raises:
        UsageError: options that cannot be meant together.
    """

    json: Path | None = None
    ratios: Annotated[Path | None, Option(metavar="FILE")] = None
    texts: bool = False
    noncommercial: bool = False
    data_dir: Annotated[Path | None, Option(metavar="DIR")] = None
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.texts and self.json is not None:
            raise UsageError("--texts with --json", remedy="build from the folder: a JSON file has no single questions")
        if not self.texts and (self.noncommercial or self.data_dir is not None):
            raise UsageError("--noncommercial and --data-dir are about --texts", remedy="give --texts too")


@click.group()
def leaderboard() -> None:
    """Verify or show the leaderboard folder, or build a site from it."""


@leaderboard.command(short_help="Build the leaderboard as a static site.")
@click.option("--out", type=Place(), required=True, help="Folder of the site: new, empty, or a site built before.")
@takes(source=Source, site=Site)
def build(out: str, source: Source, site: Site) -> None:
    """Build the leaderboard as pages that open from disk, without network or server.

    Needs the packages of `pip install 'xqr-bench[site]'`. The same leaderboard gives the same bytes.
    """
    from xqr_bench.board.files import FIGURES
    from xqr_bench.board.site import build_site, explorer, question_values, read_json, texts_at_hand
    from xqr_bench.board.table import read_leaderboard
    from xqr_bench.studies.ratio.form import load_ratios
    from xqr_bench.studies.ratio.page import ratio_pages

    ratios = [] if site.ratios is None else [load_ratios(site.ratios)]
    for place in FIGURES:
        if site.ratios is None and site.json is None and (source.leaderboard / place).is_file():
            try:
                ratios.append(load_ratios(source.leaderboard / place))
            except XqrBenchError as error:  # as a faulty submission: the others are built
                echo(f"left out: {place}: {error.problem}", err=True)
    questions, first = None, None
    if site.json is not None:
        board = read_json(site.json)
    else:
        progress = None if site.quiet else LineProgress()
        board = read_leaderboard(source.leaderboard, observe=progress)
        questions = question_values(board, source.leaderboard, progress)
        texts = {}
        if site.texts:
            texts = texts_at_hand(board, site.data_dir, noncommercial=site.noncommercial, observe=progress)
        first = explorer(board, source.leaderboard, texts, progress)
    pages = [] if first is None else [first]
    pages += ratio_pages(*ratios, board=board)
    written = build_site(board, out, pages, checked=site.json is None, questions=questions)
    for refused in [] if site.quiet else board.refused:
        echo(f"left out: {refused.path}: {refused.fault}", err=True)
    echo(written[0] if site.quiet else f"{len(written)} files; open {written[0]}")


@leaderboard.command(short_help="Check all submissions.")
@click.argument("folder", type=Place(), default="leaderboard", metavar="[DIR]")
@click.option("--quiet", is_flag=True, help="Print faults only.")
def verify(folder: str, quiet: bool) -> None:
    """Check every submission below DIR (default: leaderboard), and compute all its scores anew.

    Prints a line for each fault. Exit code 0 when there is none, 1 when there is one.
    """
    from xqr_bench.board.model import DECLARED
    from xqr_bench.board.submissions import verify as verify_folder
    from xqr_bench.studies.ratio.form import load_ratios

    done = verify_folder(folder, None if quiet else LineProgress("checking "), load_ratios)
    for fault in done.faults:
        echo(f"{fault.path}: {fault.text}")
    if done.faults:
        raise SystemExit(1)
    if not quiet:
        echo(f"{done.checked} submissions are in order: all their scores follow from their ranks")
        echo(DECLARED)
        for signer, count in sorted(done.reproduced.items()):
            echo(f"reproduced by {signer}: {count}")


@leaderboard.command(short_help="Show the tables, or print the leaderboard JSON.")
@takes(source=Source, view=View)
@click.option("--task", help="Only this task.")
@click.option("--no-tests", is_flag=True, help="Do not mark rows that cannot be told apart from the best.")
@click.option("--json", "as_json", is_flag=True, help="Print the leaderboard JSON: all that tables and sites show.")
def show(source: Source, view: View, task: str | None, no_tests: bool, as_json: bool) -> None:
    """Show submissions and published figures.

    Rows that cannot be told apart from the best, by a paired test on their stored ranks, are marked. Rows whose
    encoders were trained on the task's source or texts stand apart from those that declare none of it, and from those
    of which it is not known.
    """
    from xqr_bench.board.table import leaderboard_text, read_leaderboard
    from xqr_bench.board.terminal import check_view
    from xqr_bench.board.terminal import show as rendered

    given = [name for name, value in vars(view).items() if value != getattr(View(), name)]
    if as_json and given:
        raise UsageError(
            f"--json prints all figures: {', '.join(f'--{name}' for name in given)} cannot be used with it",
            remedy="leave it out",
        )
    board = read_leaderboard(source.leaderboard, task=task, test=not no_tests, observe=NoteProgress())
    if as_json:
        echo_json(leaderboard_text(board), nl=False)
        return
    check_view(view, board)
    table_console().print(rendered(board, view))
