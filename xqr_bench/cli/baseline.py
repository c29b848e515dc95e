"""`xqr-bench baseline`."""

from __future__ import annotations

from dataclasses import dataclass

import click

from xqr_bench.cli.common import Session
from xqr_bench.cli.options import Records, TrecRun, given
from xqr_bench.core.options import takes
from xqr_bench.tasks import Selection


@dataclass(frozen=True, kw_only=True)
class Bm25(TrecRun, Records):
    """BM25, and the records made of it.

    Attributes:
        k1: How soon repeated terms stop counting.
        b: How much a sentence's length counts.
        name: Name of the record.
    """

    k1: float = 1.5
    b: float = 0.75
    name: str = "bm25"


@dataclass(frozen=True, kw_only=True)
class Random(Records):
    """Random vectors, and the records made of them.

    Attributes:
        seed: Other vectors.
        name: Name of the record.
    """

    seed: int = 0
    name: str = "random"


@dataclass(frozen=True, kw_only=True)
class Oracle(Records):
    """The records made of the ranking that knows the answers.

    Attributes:
        name: Name of the record.
    """

    name: str = "oracle"


@click.group()
def baseline() -> None:
    """Score a ranking without an encoder, to compare encoders with: `evaluate bm25`, `random:SEED` or `oracle`."""


@baseline.command(short_help="BM25 over words, or character bigrams where a script has no spaces.")
@takes(asked=Bm25, select=Selection)
@click.pass_context
def bm25(ctx: click.Context, /, asked: Bm25, select: Selection) -> None:
    """Score BM25: an index for each language, one over the pool for the multilingual setting.

    Every candidate is ranked; those without a term of the query tie at 0. Terms are words, and pairs of characters
    in scripts without spaces (Thai, Chinese, ...); docs/interop.md describes them and what other choices give.
    """
    from xqr_bench.evaluation.baselines import LexicalRanker
    from xqr_bench.rank.lexical import Bm25Options

    ranker = LexicalRanker(Bm25Options(k1=asked.k1, b=asked.b), asked.name)
    Session(asked, select).evaluate(ranker, {"model": "baseline bm25", **given(ctx)})


@baseline.command(short_help="Random vectors: the floor.")
@takes(asked=Random, select=Selection)
@click.pass_context
def random(ctx: click.Context, /, asked: Random, select: Selection) -> None:
    """Score vectors drawn from a hash of seed and text: the same on every machine, equal for equal texts."""
    from xqr_bench.evaluation.baselines import random_ranker

    ranker = random_ranker(asked.seed, asked.name)
    Session(asked, select).evaluate(ranker, {"model": "baseline random", **given(ctx)})


@baseline.command(short_help="All relevants on top: the ceiling.")
@takes(asked=Oracle, select=Selection)
@click.pass_context
def oracle(ctx: click.Context, /, asked: Oracle, select: Selection) -> None:
    """Score a ranking that knows the answers: the relevants of each query tie on top.

    So it prefers no language, and its recall at 1 in the pool of all languages is 1 / relevants.
    """
    from xqr_bench.evaluation.baselines import oracle_ranker

    Session(asked, select).evaluate(oracle_ranker(asked.name), {"model": "baseline oracle", **given(ctx)})
