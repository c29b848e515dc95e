"""`xqr-bench remedies`."""

from __future__ import annotations

from pathlib import Path

import click

from xqr_bench.cli.options import Draws, Form
from xqr_bench.cli.printing import echo, echo_json, echo_tables
from xqr_bench.core.options import Part, Place, takes


@click.command()
@click.argument("records", nargs=-1, required=True, type=Place(path_type=Path), metavar="RECORD...")
@takes(form=Form, draws=Part(Draws, only=("seed",)))
@click.option("--plot", type=Place(path_type=Path), metavar="FILE", help="Also draw the curves: .png, .svg, .pdf.")
def remedies(records: tuple[Path, ...], form: Form, draws: dict[str, int], plot: Path | None) -> None:
    """What each transform of an encoder's vectors, or each further training, buys and costs: bias against MAP.

    RECORD is a record of an encoder untouched, transformed or trained further (of a study: those of one seed); a folder
    stands for all records below it. Every figure is shown with its difference from untouched. With records of two
    tasks, also the strengths chosen on one and looked at on the other. `xqr-bench run docs/examples/frontier.toml`
    makes such records (docs/remedies.md), and so does `xqr-bench sweep docs/examples/e5-remedies.toml`: that of
    untouched with `--arm untrained` (docs/ratio-study-how.md).
    """
    from xqr_bench.analysis import remedies as analysis
    from xqr_bench.report import canvas
    from xqr_bench.report.remedies import draw_remedies, remedies_tables

    if plot is not None:
        canvas.check_output(plot)
    curves = analysis.remedies(records, **draws)
    found = analysis.held_out(curves)
    if form.as_json:
        echo_json(analysis.Remedies(curves=curves, held_out=found).model_dump_json(indent=1))
    else:
        echo_tables(remedies_tables(curves, found), markdown=form.as_markdown)
    if plot is not None:
        echo(f"plot: {canvas.save(draw_remedies(curves), plot)}", err=True)
