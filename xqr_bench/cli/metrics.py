"""`xqr-bench metrics`."""

from __future__ import annotations

import click

from xqr_bench.cli.printing import console, echo


@click.command()
@click.option("--markdown", is_flag=True, help="Print the reference table of docs/metrics.md.")
def metrics(markdown: bool) -> None:
    """List the metrics and bias measures with their definitions."""
    from rich.table import Table

    from xqr_bench.report.metrics import metric_facts, metrics_markdown

    if markdown:
        echo(metrics_markdown())
        return
    table = Table("name", "kind", "what it is", box=None, pad_edge=False)
    for fact in metric_facts():
        table.add_row(fact.name, fact.kind, fact.summary)
    console().print(table)
