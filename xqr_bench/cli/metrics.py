"""`xqr-bench metrics`."""

from __future__ import annotations

import click

from xqr_bench.cli.printing import console, echo


@click.command()
@click.option("--markdown", is_flag=True, help="Print the reference table of docs/metrics.md.")
def metrics(markdown: bool) -> None:
    """List the metrics and bias measures with their definitions."""
    from xqr_bench.report.listings import metrics_markdown, metrics_table

    if markdown:
        echo(metrics_markdown())
    else:
        console().print(metrics_table().terminal())
