"""`xqr-bench metrics`."""

from __future__ import annotations

import click

from xqr_bench.cli.printing import console, echo


@click.command()
@click.option("--markdown", is_flag=True, help="Print the reference table of docs/metrics.md.")
def metrics(markdown: bool) -> None:
    """List the metrics and bias measures with their definitions."""
    from xqr_bench.report.metrics import metric_facts, metrics_markdown
    from xqr_bench.report.table import Table, columns

    if markdown:
        echo(metrics_markdown())
        return
    rows = [(fact.name, fact.kind, fact.summary) for fact in metric_facts()]
    console().print(Table("", columns("name", "kind", "what it is", names=3), rows, frame="list").terminal())
