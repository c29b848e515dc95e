"""`xqr-bench baseline`."""

from __future__ import annotations

from dataclasses import dataclass

import click

from xqr_bench.cli.common import Session
from xqr_bench.cli.options import Records, TrecRun, given
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.options import Sections, takes
from xqr_bench.tasks import Selection

FIRST = ("--task", "--name", "--output", "--limit", "--languages")
"""Options that the help texts have first."""


@dataclass(frozen=True, kw_only=True)
class RecordsAndRuns(TrecRun, Records):
    """The records of a baseline, and its TREC runs."""


def _name(ctx: click.Context, option: click.Parameter, name: str) -> str:
    refuse_unreadable(name, "--name", "give a name that can be read on one line, or leave it out")
    return name


@click.group()
def baseline() -> None:
    """Score a ranking without an encoder, to compare encoders with: `evaluate bm25`, `random:SEED` or `oracle`."""


@baseline.command(
    cls=Sections,
    first=("--k1", "--b", *FIRST),
    short_help="BM25 over words, or character bigrams where a script has no spaces.",
)
@takes(asked=RecordsAndRuns, select=Selection)
@click.option("--k1", type=float, default=1.5, show_default=True, help="How soon repeated terms stop counting.")
@click.option("--b", type=float, default=0.75, show_default=True, help="How much a sentence's length counts.")
@click.option("--name", default="bm25", show_default=True, callback=_name, help="Name of the record.")
@click.pass_context
def bm25(ctx: click.Context, /, asked: RecordsAndRuns, select: Selection, k1: float, b: float, name: str) -> None:
    """Score BM25: an index for each language, one over the pool for the multilingual setting.

    Every candidate is ranked; those without a term of the query tie at 0. Terms are words, and pairs of characters
    in scripts without spaces (Thai, Chinese, ...); docs/interop.md describes them and what other choices give.
    """
    from xqr_bench.evaluation.baselines import LexicalRanker
    from xqr_bench.rank.lexical import Bm25Options

    ranker = LexicalRanker(Bm25Options(k1=k1, b=b), name)
    Session(asked, select).evaluate(ranker, {"model": "baseline bm25", **given(ctx)})


@baseline.command(cls=Sections, first=("--seed", *FIRST), short_help="Random vectors: the floor.")
@takes(asked=Records, select=Selection)
@click.option("--seed", type=int, default=0, show_default=True, help="Other vectors.")
@click.option("--name", default="random", show_default=True, callback=_name, help="Name of the record.")
@click.pass_context
def random(ctx: click.Context, /, asked: Records, select: Selection, seed: int, name: str) -> None:
    """Score vectors drawn from a hash of seed and text: the same on every machine, equal for equal texts."""
    from xqr_bench.evaluation.baselines import random_ranker

    ranker = random_ranker(seed, name)
    Session(asked, select).evaluate(ranker, {"model": "baseline random", **given(ctx)})


@baseline.command(cls=Sections, first=FIRST, short_help="All relevants on top: the ceiling.")
@takes(asked=Records, select=Selection)
@click.option("--name", default="oracle", show_default=True, callback=_name, help="Name of the record.")
@click.pass_context
def oracle(ctx: click.Context, /, asked: Records, select: Selection, name: str) -> None:
    """Score a ranking that knows the answers: the relevants of each query tie on top.

    So it prefers no language, and its recall at 1 in the pool of all languages is 1 / relevants.
    """
    from xqr_bench.evaluation.baselines import oracle_ranker

    Session(asked, select).evaluate(oracle_ranker(name), {"model": "baseline oracle", **given(ctx)})
