"""A plan of all batches, from data, a strategy and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.train.batches.check import check_arguments, check_data
from xqr_bench.train.batches.conflicts import find_conflicts
from xqr_bench.train.batches.groups import allowed_pairs, choose_partners, even_use, group_questions, pair_shares
from xqr_bench.train.plans import Arguments, LanguageDraws, Strategy
from xqr_bench.train.streams import Stream, generator
from xqr_bench.train.types import BatchPlan, Int32, ParallelData


def make_plan(
    data: ParallelData | Sequence[ParallelData],
    *,
    strategy: str = "hybrid",
    alpha: float | None = None,
    mix: str = "batch",
    steps: int,
    batch_size: int = 100,
    seed: int = 0,
    turn: int | None = None,
    shuffle_positives: bool = False,
    distinct_pairs: str = "all",
) -> BatchPlan:
    """Draw which question, query language and passage language stand in each row of each batch.

    Args:
        data: one or more data sets; a batch comes from one of them, drawn in proportion to its questions.
        strategy: `hybrid`, `x-x-mono`, `x-y`, `x-x`, `x-y-fixed`, `mono-first`, `cross-first`, or a plugin's.
        alpha: probability of a monolingual batch; needed by `hybrid`.
        mix: "batch": alpha is drawn per batch, as published; "pair": per row.
        steps: number of batches.
        batch_size: rows of a batch, over all devices.
        seed: of all draws. The questions do not depend on the strategy or on alpha where every question is in
            every language (docs/batch-plans.md says what holds elsewhere).
        turn: of `mono-first` and `cross-first`: the first step of the second part.
        shuffle_positives: a negative control: a row's passage belongs to another question, which conflicts with no
            question of the batch.
        distinct_pairs: "as-monolingual": each question's query in a language always meets the passage of one other
            language, so that there are no more distinct cross-lingual pairs than monolingual ones.

    Raises:
        UnknownNameError: no such strategy.
        UsageError: arguments or data that cannot give such batches.
    """
    sets = [data] if isinstance(data, ParallelData) else list(data)
    made, asked = check_arguments(
        strategy,
        alpha=alpha,
        mix=mix,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        turn=turn,
        shuffle_positives=shuffle_positives,
        distinct_pairs=distinct_pairs,
    )
    check_data(sets, asked)
    codes = tuple(dict.fromkeys(code for one in sets for code in one.languages))
    types = made.types(asked)
    source = _data_sets(sets, asked)
    question, passage, query_language, passage_language = (
        np.empty((steps, batch_size), dtype=np.int32) for _ in range(4)
    )
    for number, one in enumerate(sets):
        where = np.flatnonzero(source == number)
        if not len(where):
            continue
        columns = np.array([codes.index(code) for code in one.languages], dtype=np.int32)
        rows = _rows(one, number, made, types[where], asked)
        question[where], passage[where] = rows[0], rows[1]
        query_language[where], passage_language[where] = columns[rows[2]], columns[rows[3]]
    return BatchPlan(
        strategy=strategy,
        seed=seed,
        arguments={name: value for name, value in asdict(asked).items() if name != "seed"},
        data_names=tuple(one.name for one in sets),
        data_digests=tuple(one.digest for one in sets),
        languages=codes,
        types=types,
        data_set=np.repeat(source[:, None], batch_size, axis=1),
        question=question,
        passage_question=passage,
        query_language=query_language,
        passage_language=passage_language,
    )


def _data_sets(data: Sequence[ParallelData], asked: Arguments) -> Int32:
    """The data set of each batch, in proportion to its questions, int32 `[steps]`."""
    sizes = np.cumsum([one.n_questions for one in data])
    uniform = generator(asked.seed, Stream.DATA_SET).random(asked.steps)
    return np.asarray(np.searchsorted(sizes[:-1], uniform * sizes[-1], side="right"), dtype=np.int32)


def _rows(
    data: ParallelData, number: int, strategy: Strategy, types: np.ndarray, asked: Arguments
) -> tuple[Int32, Int32, Int32, Int32]:
    """Questions, questions of the passages, query and passage languages of one data set's batches."""
    from xqr_bench.train.batches.kernel import take_questions

    shares = pair_shares(data) if asked.alpha < 1 else None
    draws = LanguageDraws(asked.seed, number, len(data.languages), shares)
    query, passage = strategy.languages(types, draws, asked)
    limited = asked.distinct_pairs == "as-monolingual"
    partners = choose_partners(data, asked.seed, number) if limited else None
    # where every question is in every language the questions come first: they stay the same in every plan
    alike = data.fully_parallel
    groups = group_questions(allowed_pairs(data, None if alike else partners), even_use(data), shares)
    conflicts = find_conflicts(data)
    width = len(data.languages)
    pairs = (query * width + passage).astype(np.int32)
    second = (passage * (width + 1)).astype(np.int32) if asked.shuffle_positives else np.empty((0, 0), dtype=np.int32)
    seeds = np.array(
        [
            generator(asked.seed, stream, number).integers(2**64, dtype=np.uint64)
            for stream in (Stream.QUESTIONS, Stream.SHUFFLED_PASSAGES)
        ]
    )
    questions = np.empty(pairs.shape, dtype=np.int32)
    passages = np.empty(pairs.shape, dtype=np.int32)
    failed = take_questions(
        pairs,
        second,
        seeds,
        *(groups.offsets, groups.members, groups.pair_offsets, groups.pair_groups, groups.pair_weights),
        *(*conflicts.keys, *conflicts.negatives, conflicts.n_keys),
        questions,
        passages,
    )
    if failed >= 0:
        raise _cannot_fill(data, failed, pairs, second)
    if alike and partners is not None:
        cross = query != passage
        passage = np.where(cross, partners[questions, query], passage).astype(np.int32)
    return questions, passages, query, passage


def _cannot_fill(data: ParallelData, failed: int, pairs: Int32, second: Int32) -> UsageError:
    size = pairs.shape[1]
    batch, rest = divmod(failed, 2 * size)
    draw, place = divmod(rest, size)
    pair = int((pairs if draw == 0 else second)[batch, place])
    a, b = (data.languages[index] for index in divmod(pair, len(data.languages)))
    both = int((data.has[:, data.language_index[a]] & data.has[:, data.language_index[b]]).sum())
    where = f"in {a}" if a == b else f"in {a} and {b}"
    what = "questions" if draw == 0 else "shuffled passages"
    return UsageError(
        f"{data.name}: a batch of {size} cannot be filled without false negatives: after {place} rows no further "
        f"{what.removesuffix('s')} {where} fits",
        found=f"{both} questions {where}; questions of one sentence or of equal texts never stand in one batch",
        remedy="use a smaller batch, more data, or fewer languages",
    )
