"""`xqr-bench pools`."""

from __future__ import annotations

import click

from xqr_bench.cli.common import split, table_console
from xqr_bench.cli.printing import echo, echo_json
from xqr_bench.core.errors import UsageError


@click.command(short_help="What other pools of languages would have given, from a record's ranks.")
@click.argument("record", type=click.Path())
@click.option(
    "--show",
    help="Some of pool, labelled, leave-one-out, pairs, growth, equal-size, by commas; default: all but pairs.",
)
@click.option("--languages", help="The pool: only candidates of these languages, separated by commas.")
@click.option("--queries", help="Query languages of the pool; default: those of its candidates.")
@click.option("--metrics", help="Of the multilingual setting, separated by commas.")
@click.option("--relevance", default="strict", show_default=True, help="strict or lenient (docs/relevance.md).")
@click.option("--order", help="Growth: add languages in this order instead of looking at many pools of each size.")
@click.option("--limit", type=int, default=20, show_default=True, help="Growth: pools of a size at most.")
@click.option("--size", type=int, help="Equal size: candidates of each language; default: those of the smallest.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of sampled pools and of intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables in Markdown.")
@click.option("--plot", type=click.Path(), metavar="FILE", help="Also draw growth and leave-one-out: .png, .svg, .pdf.")
def pools(
    record: str,
    show: str | None,
    languages: str | None,
    queries: str | None,
    metrics: str | None,
    relevance: str,
    order: str | None,
    limit: int,
    size: int | None,
    seed: int,
    as_json: bool,
    as_markdown: bool,
    plot: str | None,
) -> None:
    """What the multilingual figures of RECORD owe to its pool, from the counts beside it; nothing is encoded.

    pool: the candidates of some languages. labelled: only those that have the question. leave-one-out: each language
    taken away. pairs: two languages. growth: more and more of them. equal-size: languages cut to the same number of
    candidates.
    """
    from pathlib import Path

    from xqr_bench.analysis.pools import DEFAULT_VIEWS, pool_report
    from xqr_bench.record import load_record
    from xqr_bench.report.charts import check_output

    if as_json and as_markdown:
        raise UsageError("--json and --markdown exclude each other", remedy="give one of them")
    if plot is not None:
        check_output(plot)
    found = pool_report(
        load_record(Path(record), ranks=True),
        show=split(show) or DEFAULT_VIEWS,
        languages=split(languages),
        queries=split(queries),
        metrics=split(metrics),
        relevance=relevance,
        limit=limit,
        order=split(order),
        size=size,
        seed=seed,
    )
    if as_json:
        echo_json(found.model_dump_json(indent=1, exclude_none=True))
    else:
        from xqr_bench.report.pools import pool_tables

        tables = pool_tables(found)
        if as_markdown:
            echo("\n\n".join(table.markdown() for table in tables))
        else:
            console = table_console()
            for table in tables:
                console.print(*table.rich(), sep="\n")
    if plot is not None:
        from xqr_bench.report import charts as drawn
        from xqr_bench.report.charts import save

        echo(f"plot: {save(drawn.draw_pools(found), Path(plot))}", err=True)
