"""What can be said against a plan before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.train.plans import STRATEGIES, Arguments, Strategy
from xqr_bench.train.types import ParallelData


def check_arguments(
    strategy: str,
    *,
    alpha: float | None,
    mix: str,
    steps: int,
    batch_size: int,
    seed: int,
    turn: int | None,
    shuffle_positives: bool,
    distinct_pairs: str,
) -> tuple[Strategy, Arguments]:
    """The strategy, and its arguments with defaults.

    Raises:
        UnknownNameError: no such strategy.
        UsageError: an argument out of range, or one that the strategy does not take.
    """
    chosen = STRATEGIES.get(strategy)
    _whole("the number of updates", steps, least=1)
    _whole("the batch size", batch_size, least=2, why="the other rows of the batch are the negatives")
    _whole("the seed", seed, least=0)
    if alpha is not None and not 0 <= alpha <= 1:  # also NaN
        raise UsageError(
            f"the ratio of monolingual batches is {alpha}",
            remedy="give a share from 0 (all cross-lingual) to 1 (all monolingual)",
        )
    if alpha is not None and "alpha" not in chosen.settable and alpha != chosen.alpha:
        raise UsageError(
            f"the strategy {strategy} has the ratio {chosen.alpha:g}, not {alpha:g}",
            remedy="leave the ratio out, or take the strategy hybrid",
        )
    if alpha is None and chosen.alpha is None:
        raise UsageError(f"the strategy {strategy} needs a ratio", remedy="give one from 0 to 1, such as 0.5")
    if mix not in ("batch", "pair"):
        raise UsageError(f"mix is {mix!r}", remedy="use batch (as published) or pair")
    if mix == "pair" and "mix" not in chosen.settable:
        raise UsageError(f"the strategy {strategy} cannot mix by pair", remedy="take the strategy hybrid")
    if turn is not None and "turn" not in chosen.settable:
        raise UsageError(f"the strategy {strategy} has no turn", remedy="take mono-first or cross-first")
    if turn is not None and turn < 0:
        raise UsageError(f"the turn is {turn}", remedy="give the first step of the second part, 0 or more")
    if distinct_pairs not in ("all", "as-monolingual"):
        raise UsageError(f"distinct_pairs is {distinct_pairs!r}", remedy="use all or as-monolingual")
    if distinct_pairs != "all" and not chosen.per_row_pairs:
        raise UsageError(f"the strategy {strategy} cannot limit its distinct pairs", remedy="take the strategy x-y")
    used = chosen.alpha if alpha is None else alpha
    assert used is not None
    mixing: Literal["batch", "pair"] = "pair" if mix == "pair" else "batch"
    pairs: Literal["all", "as-monolingual"] = "all" if distinct_pairs == "all" else "as-monolingual"
    return chosen, Arguments(float(used), mixing, steps, batch_size, seed, turn, shuffle_positives, pairs)


def _whole(what: str, value: Any, *, least: int, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        reason = f" ({why})" if why else ""
        raise UsageError(f"{what} is {value!r}", remedy=f"give a whole number of at least {least}{reason}")


def check_data(data: Sequence[ParallelData], asked: Arguments) -> None:
    """Refuse data that cannot fill such batches.

    Raises:
        UsageError: no data; one language only with a ratio below 1; fewer questions than the batch, in all or in a
            language that is to fill a batch; monolingual rows from bitext.
    """
    if not data:
        raise UsageError("there is no training data", remedy="name at least one data set")
    for one in data:
        if asked.alpha < 1 and len(one.languages) < 2:
            raise UsageError(
                f"{one.name} has one language only, {one.languages[0]}: no row can be cross-lingual",
                remedy="add a language, or train with ratio 1",
            )
        if asked.alpha < 1 and not (one.has.sum(axis=1) > 1).any():
            raise UsageError(
                f"{one.name} has no question in two languages: no row can be cross-lingual",
                remedy="give translations of a question the same id, or train with ratio 1",
            )
        if asked.alpha > 0 and one.kind == "bitext":
            raise UsageError(
                f"{one.name} is bitext: in one language query and passage would be the same sentence",
                remedy="train with ratio 0 (strategy x-y) on bitext",
            )
        needed = asked.batch_size * (2 if asked.shuffle_positives else 1)
        if one.n_questions < needed:
            shuffled = ", and as many others for their shuffled passages" if asked.shuffle_positives else ""
            raise UsageError(
                f"{one.name} has {one.n_questions} questions; a batch of {asked.batch_size} needs as many{shuffled}",
                remedy="use a smaller batch, or more data",
            )
