"""`xqr-bench leaderboard build`."""

from __future__ import annotations

from pathlib import Path

import click

from xqr_bench.cli.printing import echo


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
    from xqr_bench.board.places import RATIOS
    from xqr_bench.report.ratio.model import load_ratios
    from xqr_bench.site import build_site, read_json
    from xqr_bench.site.ratio import ratio_page

    study = Path(ratios) if ratios is not None else Path(folder) / RATIOS
    shown = ratios is not None or (json_file is None and study.is_file())
    more = [ratio_page(load_ratios(study))] if shown else []
    if json_file is not None:
        board = read_json(Path(json_file))
    else:
        from xqr_bench.board.table import read_leaderboard

        board = read_leaderboard(folder, progress=None if quiet else lambda step: echo(step, err=True))
    written = build_site(board, out, more)
    for refused in [] if quiet else board.refused:
        echo(f"left out: {refused.path}: {refused.fault}", err=True)
    echo(written[0] if quiet else f"{len(written)} files; open {written[0]}")
