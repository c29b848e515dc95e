"""`xqr-bench baseline`."""

from __future__ import annotations

from typing import Any

import click

from xqr_bench.cli.common import Session, given, task_options, trec_options


@click.group()
def baseline() -> None:
    """Score a ranking without vectors, to compare encoders with."""


@baseline.command(short_help="BM25 over words, or character bigrams where a script has no spaces.")
@task_options
@click.option("--k1", type=float, default=1.5, show_default=True, help="How soon repeated terms stop counting.")
@click.option("--b", type=float, default=0.75, show_default=True, help="How much a sentence's length counts.")
@click.option("--name", default="bm25", show_default=True, help="Name of the record.")
@trec_options
@click.pass_context
def bm25(ctx: click.Context, /, **options: Any) -> None:
    """Score BM25: an index for each language, one over the pool for the multilingual setting.

    Every candidate is ranked; those without a term of the query tie at 0. Terms are words, and pairs of characters
    in scripts without spaces (Thai, Chinese, ...); docs/interop.md describes them and what other choices give.
    """
    from xqr_bench import baseline as baselines
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.cli.runs import block_writer

    session = Session(options)
    parameters = baselines.Bm25Options(k1=options["k1"], b=options["b"])
    name = options["name"]
    todo = session.todo(name, parameters.identity())
    records = []
    if todo:
        with RunProgress(quiet=session.quiet) as progress:
            records = baselines.bm25(
                todo,
                options=parameters,
                name=name,
                metrics=session.metrics,
                on_scores=block_writer(session, name, todo, options, progress),
                progress=progress,
                data_progress=progress.data,
                arguments={"model": "baseline bm25", **given(ctx)},
                **session.chosen,
            )
    session.finish(name, records)
