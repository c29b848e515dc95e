"""`xqr-bench pools`."""

from __future__ import annotations

from pathlib import Path

import click

from xqr_bench.analysis.asked import Pools
from xqr_bench.cli.options import Form
from xqr_bench.cli.printing import echo, echo_json, echo_tables
from xqr_bench.core.options import Place, takes


@click.command()
@click.argument("record", type=Place(path_type=Path))
@takes(asked=Pools, form=Form)
@click.option("--plot", type=Place(), metavar="FILE", help="Also draw growth and leave-one-out: .png, .svg, .pdf.")
def pools(record: Path, asked: Pools, form: Form, plot: str | None) -> None:
    """What the multilingual figures of RECORD owe to its pool, from the counts beside it; nothing is encoded.

    pool: the candidates of some languages. labelled: only those that have the question. leave-one-out: each language
    taken away. pairs: two languages. growth: more and more of them. equal-size: languages cut to the same number of
    candidates.
    """
    from xqr_bench.analysis.pools import pool_report
    from xqr_bench.record import load_record
    from xqr_bench.report import canvas, charts
    from xqr_bench.report.pools import pool_tables

    if plot is not None:
        canvas.check_output(plot)
    report = pool_report(load_record(record, ranks=True), asked)
    if form.as_json:
        echo_json(report.model_dump_json(indent=1, exclude_none=True))
    else:
        echo_tables(pool_tables(report), markdown=form.as_markdown)
    if plot is not None:
        echo(f"plot: {canvas.save(charts.draw_pools(report), Path(plot))}", err=True)
