"""`xqr-bench languages`."""

from __future__ import annotations

import click

from xqr_bench.cli.common import table_console
from xqr_bench.cli.printing import echo


@click.command(short_help="Scores by language beside how much text there is of each.")
@click.argument("record", type=click.Path())
@click.option("--metric", default="map", show_default=True, help="A metric of the record.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables in Markdown.")
def languages(record: str, metric: str, as_markdown: bool) -> None:
    """Show the scores of RECORD by query language, beside resource class, size in CC-100 and articles in Wikipedia.

    Spearman's rank correlations describe the languages of the task; they are no test.
    """
    from pathlib import Path

    from xqr_bench.core.errors import UsageError
    from xqr_bench.measure.metrics import parse_metric
    from xqr_bench.record import load_record
    from xqr_bench.report.listings import language_tables, scores_by_language

    loaded, name = load_record(Path(record)), parse_metric(metric).name
    if not scores_by_language(loaded, name):
        raise UsageError(
            f"{record} has no {name} by query language",
            found=", ".join(loaded.task.metrics),
            remedy="choose one of these",
        )
    tables = language_tables(loaded, name)
    if as_markdown:
        echo("\n\n".join(table.markdown() for table in tables))
        return
    console = table_console()
    for table in tables:
        console.print(*table.rich(), sep="\n")
