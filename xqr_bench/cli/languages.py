"""`xqr-bench languages`."""

from __future__ import annotations

from pathlib import Path

import click

from xqr_bench.cli.printing import echo_tables
from xqr_bench.core.options import Place


@click.command()
@click.argument("record", type=Place(path_type=Path))
@click.option("--metric", default="map", show_default=True, help="A metric of the record.")
@click.option("--markdown", is_flag=True, help="Print the tables in Markdown.")
def languages(record: Path, metric: str, markdown: bool) -> None:
    """Show the scores of RECORD by query language, beside resource class, size in CC-100 and articles in Wikipedia.

    Spearman's rank correlations describe the languages of the task; they are no test.
    """
    from xqr_bench.record import load_record
    from xqr_bench.report.listings import language_tables

    echo_tables(language_tables(load_record(record), metric), markdown=markdown)
