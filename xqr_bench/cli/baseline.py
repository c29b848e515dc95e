"""`xqr-bench baseline`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.common import Session, given, task_options, trec_options

if TYPE_CHECKING:
    from xqr_bench.encode import ModelIdentity


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
    from xqr_bench.cli.options import block_writer
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.evaluation import baselines
    from xqr_bench.rank import lexical

    session = Session(options)
    parameters = lexical.Bm25Options(k1=options["k1"], b=options["b"])
    name = options["name"]
    todo = session.todo(name, parameters.identity())
    records = []
    if todo:
        with RunProgress(quiet=session.quiet) as observe:
            records = baselines.bm25(
                todo,
                options=parameters,
                name=name,
                metrics=session.metrics,
                on_scores=block_writer(session, name, todo, options, observe),
                observe=observe,
                arguments={"model": "baseline bm25", **given(ctx)},
                **session.chosen,
            )
    session.finish(name, records)


@baseline.command(short_help="Random vectors: the floor.")
@task_options
@click.option("--seed", type=int, default=0, show_default=True, help="Other vectors.")
@click.option("--name", default="random", show_default=True, help="Name of the record.")
@click.pass_context
def random(ctx: click.Context, /, **options: Any) -> None:
    """Score vectors drawn from a hash of seed and text: the same on every machine, equal for equal texts."""
    from xqr_bench.evaluation import baselines

    identity = baselines.random_identity(options["seed"])
    _bound(ctx, options, identity, lambda todo, **more: baselines.random_records(todo, seed=options["seed"], **more))


@baseline.command(short_help="All relevants on top: the ceiling.")
@task_options
@click.option("--name", default="oracle", show_default=True, help="Name of the record.")
@click.pass_context
def oracle(ctx: click.Context, /, **options: Any) -> None:
    """Score a ranking that knows the answers: the relevants of each query tie on top.

    So it prefers no language, and its recall at 1 in the pool of all languages is 1 / relevants.
    """
    from xqr_bench.evaluation import baselines

    _bound(ctx, options, baselines.oracle_identity(), baselines.oracle_records)


def _bound(ctx: click.Context, options: dict[str, Any], identity: ModelIdentity, score: Callable[..., Any]) -> None:
    from xqr_bench.cli.progress import RunProgress

    session = Session(options)
    name = options["name"]
    todo = session.todo(name, identity)
    records = []
    if todo:
        with RunProgress(quiet=session.quiet) as observe:
            records = score(
                todo,
                name=name,
                metrics=session.metrics,
                observe=observe,
                arguments={"model": f"baseline {identity.name}", **given(ctx)},
                **session.chosen,
            )
    session.finish(name, records)
