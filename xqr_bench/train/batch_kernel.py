"""The compiled loop that takes questions in order, leaving to later what would be a false negative."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.jit import compiled
from xqr_bench.core.types import FloatArray, IntArray
from xqr_bench.train.types import Int32

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xBF58476D1CE4E5B9)
_C = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@compiled()
def _mix(state: np.uint64) -> np.uint64:
    """The output function of splitmix64 (Steele, Lea, Flood 2014)."""
    state = (state ^ (state >> _S30)) * _B
    state = (state ^ (state >> _S27)) * _C
    return state ^ (state >> _S31)


@compiled()
def _unit(seed: np.uint64, a: int, b: int, c: int) -> float:
    """A number in [0, 1) that depends on the seed and on (a, b, c) only."""
    state = _mix(seed + _A * np.uint64(a + 1))
    state = _mix(state + _A * np.uint64(b + 1))
    state = _mix(state + _A * np.uint64(c + 1))
    return float(np.float64(state >> _S11) / 9007199254740992.0)


class Ragged(NamedTuple):
    """Numbers of each question: those of question q are `values[offsets[q]:offsets[q + 1]]`."""

    offsets: IntArray
    values: Int32


class Conflicts(NamedTuple):
    """Two questions conflict when they share a key, or when a key of one is a negative of the other."""

    keys: Ragged
    negatives: Ragged
    n_keys: int


class Groups(NamedTuple):
    """Questions by group, and groups by ordered language pair.

    Attributes:
        offsets, members: the questions of group g are `members[offsets[g]:offsets[g + 1]]`.
        pair_offsets, pair_groups: the groups that have the pair (a, b), at a * languages + b.
        pair_weights: share of a pair's rows that each of its groups serves, float64, along `pair_groups`.
    """

    offsets: IntArray
    members: Int32
    pair_offsets: IntArray
    pair_groups: Int32
    pair_weights: FloatArray


class _Taken(NamedTuple):
    """Of each key the last batch that holds it: of a question in it, of a hard negative in it; int64 `[keys]`."""

    keys: IntArray
    negatives: IntArray


class _Order(NamedTuple):
    """The questions of each group in the order in which one draw takes them.

    Attributes:
        buffer: of group g the order not yet taken is `buffer[2 * offsets[g] + first : ... + end]`, int32.
        waits: of each question the last round in which it waited at the front, int64 `[questions]`.
        state: (first, end, rounds) of each group, int64 `[groups, 3]`.
    """

    buffer: Int32
    waits: IntArray
    state: IntArray


@compiled()
def _free(q: int, t: int, conflicts: Conflicts, taken: _Taken) -> bool:
    """Whether question q conflicts with nothing in batch t so far."""
    keys, negatives = conflicts.keys, conflicts.negatives
    for i in range(keys.offsets[q], keys.offsets[q + 1]):
        key = keys.values[i]
        if taken.keys[key] == t or taken.negatives[key] == t:
            return False
    for i in range(negatives.offsets[q], negatives.offsets[q + 1]):  # noqa: SIM110 (numba knows no all())
        if taken.keys[negatives.values[i]] == t:
            return False
    return True


@compiled()
def _next(g: int, t: int, seed: np.uint64, groups: Groups, order: _Order, conflicts: Conflicts, taken: _Taken) -> int:
    """The first question in the order of group g that fits batch t, taken out of the order; -1: none fits.

    What does not fit keeps its place at the front. A new round adds the questions that do not wait there already, in a
    new order: one whose sentence serves more questions than a round has batches is left out now and then.
    """
    buffer, waits, state = order.buffer, order.waits, order.state
    n = groups.offsets[g + 1] - groups.offsets[g]
    base = 2 * groups.offsets[g]
    added = False
    while True:
        head = state[g, 0]
        for j in range(head, state[g, 1]):
            q = buffer[base + j]
            if _free(q, t, conflicts, taken):
                for k in range(j, head, -1):  # those passed over move up, so that they come first next time
                    buffer[base + k] = buffer[base + k - 1]
                state[g, 0] = head + 1
                return int(q)
        if added:
            return -1
        left = state[g, 1] - head
        state[g, 2] += 1
        for j in range(left):
            q = buffer[base + head + j]
            buffer[base + j] = q
            waits[q] = state[g, 2]
        for j in range(n):  # Fisher and Yates
            k = int(_unit(seed, g, state[g, 2], j) * (j + 1))
            buffer[base + left + j] = buffer[base + left + k]
            buffer[base + left + k] = groups.members[groups.offsets[g] + j]
        end = left
        for j in range(left, left + n):
            q = buffer[base + j]
            if waits[q] != state[g, 2]:
                buffer[base + end] = q
                end += 1
        state[g, 0] = 0
        state[g, 1] = end
        added = True


@compiled()
def take_questions(
    pairs: Int32,
    partner_pairs: Int32,
    seeds: NDArray[np.uint64],
    groups: Groups,
    conflicts: Conflicts,
    questions: Int32,
    passages: Int32,
) -> int:
    """Fill in the questions of all batches.

    The groups that serve a pair take turns by their weights: each row of the pair adds a group's weight to its credit,
    the group with the most credit gives the row and pays 1; so after n rows of the pair a group has given its weight
    times n of them, to within about one. Of the group the row takes the next question in order that fits; when none
    does, the group with the next most credit is asked. With one group the questions do not depend on the pairs.

    Args:
        pairs: language pair of each row, int32 `[batches, size]`.
        partner_pairs: likewise for a second, separate draw of passages; `[0, 0]`: there is none.
        seeds: of the two draws, uint64 `[2]`.
        groups, conflicts: of the data set's questions.
        questions, passages: int32 `[batches, size]`, filled in.

    Returns:
        -1, or the row (batch * 2 * size + draw * size + place) for which nothing fits.
    """
    batches, size = pairs.shape
    draws = 2 if partner_pairs.shape[0] > 0 else 1
    n_groups, n_questions, n_served = len(groups.offsets) - 1, len(groups.members), len(groups.pair_groups)
    buffers = np.empty((draws, 2 * n_questions), dtype=np.int32)
    waits = np.zeros((draws, n_questions), dtype=np.int64)
    states = np.zeros((draws, n_groups, 3), dtype=np.int64)
    credits = np.empty((draws, n_served), dtype=np.float64)
    for draw in range(draws):
        for at in range(n_served):
            credits[draw, at] = _unit(seeds[draw] ^ _B, at, 0, 0)
    tried = np.full(n_served, -1, dtype=np.int64)
    taken = _Taken(np.full(conflicts.n_keys, -1, dtype=np.int64), np.full(conflicts.n_keys, -1, dtype=np.int64))
    for t in range(batches):
        for draw in range(draws):
            order = _Order(buffers[draw], waits[draw], states[draw])
            for i in range(size):
                row = (t * 2 + draw) * size + i
                pair = pairs[t, i] if draw == 0 else partner_pairs[t, i]
                first, end = groups.pair_offsets[pair], groups.pair_offsets[pair + 1]
                for at in range(first, end):
                    credits[draw, at] += groups.pair_weights[at]
                q = -1
                for _ in range(first, end):
                    best = -1
                    for at in range(first, end):
                        if tried[at] != row and (best < 0 or credits[draw, at] > credits[draw, best]):
                            best = at
                    tried[best] = row
                    q = _next(groups.pair_groups[best], t, seeds[draw], groups, order, conflicts, taken)
                    if q >= 0:
                        credits[draw, best] -= 1.0
                        break
                if q < 0:
                    return int(row)
                keys, negatives = conflicts.keys, conflicts.negatives
                for k in range(keys.offsets[q], keys.offsets[q + 1]):
                    taken.keys[keys.values[k]] = t
                if draw == 0:
                    questions[t, i] = q
                if draw == draws - 1:
                    passages[t, i] = q
                    # a hard negative counts only where its question's passage stands
                    for k in range(negatives.offsets[q], negatives.offsets[q + 1]):
                        taken.negatives[negatives.values[k]] = t
    return -1
