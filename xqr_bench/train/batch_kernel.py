"""The compiled loop that takes questions in order, leaving to later what would be a false negative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.jit import compiled
from xqr_bench.core.types import IntArray
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


@compiled()
def _free(
    q: int,
    t: int,
    key_offsets: IntArray,
    keys: Int32,
    negative_offsets: IntArray,
    negatives: Int32,
    used: IntArray,
    used_negative: IntArray,
) -> bool:
    """Whether question q conflicts with nothing in batch t so far."""
    for i in range(key_offsets[q], key_offsets[q + 1]):
        if used[keys[i]] == t or used_negative[keys[i]] == t:
            return False
    for i in range(negative_offsets[q], negative_offsets[q + 1]):  # noqa: SIM110 (numba knows no all())
        if used[negatives[i]] == t:
            return False
    return True


@compiled()
def _next(
    g: int,
    t: int,
    seed: np.uint64,
    offsets: IntArray,
    members: Int32,
    buffer: Int32,
    waits: IntArray,
    state: IntArray,
    key_offsets: IntArray,
    keys: Int32,
    negative_offsets: IntArray,
    negatives: Int32,
    used: IntArray,
    used_negative: IntArray,
) -> int:
    """The first question in the order of group g that fits batch t, taken out of the order; -1: none fits.

    What does not fit keeps its place at the front. state[g] = (first, end, rounds): the order not yet taken is
    buffer[2 * offsets[g] + first : ... + end]. A new round adds the questions that do not wait there already, in a
    new order: one whose sentence serves more questions than a round has batches is left out now and then.
    """
    n = offsets[g + 1] - offsets[g]
    base = 2 * offsets[g]
    added = False
    while True:
        head = state[g, 0]
        for j in range(head, state[g, 1]):
            q = buffer[base + j]
            if _free(q, t, key_offsets, keys, negative_offsets, negatives, used, used_negative):
                for k in range(j, head, -1):
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
            buffer[base + left + k] = members[offsets[g] + j]
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
    pairs: NDArray[np.int32],
    partner_pairs: NDArray[np.int32],
    seeds: NDArray[np.uint64],
    offsets: IntArray,
    members: Int32,
    pair_offsets: IntArray,
    pair_groups: Int32,
    pair_weights: NDArray[np.float64],
    key_offsets: IntArray,
    keys: Int32,
    negative_offsets: IntArray,
    negatives: Int32,
    n_keys: int,
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
        offsets .. pair_weights: see `Groups`.
        key_offsets .. n_keys: see `Conflicts`.
        questions, passages: int32 `[batches, size]`, filled in.

    Returns:
        -1, or the row (batch * 2 * size + draw * size + place) for which nothing fits.
    """
    batches, size = pairs.shape
    draws = 2 if partner_pairs.shape[0] > 0 else 1
    groups = len(offsets) - 1
    buffers = np.empty((draws, 2 * len(members)), dtype=np.int32)
    waits = np.zeros((draws, len(members)), dtype=np.int64)
    states = np.zeros((draws, groups, 3), dtype=np.int64)
    credits = np.empty((draws, len(pair_groups)), dtype=np.float64)
    for draw in range(draws):
        for at in range(len(pair_groups)):
            credits[draw, at] = _unit(seeds[draw] ^ _B, at, 0, 0)
    tried = np.full(len(pair_groups), -1, dtype=np.int64)
    used = np.full(n_keys, -1, dtype=np.int64)
    used_negative = np.full(n_keys, -1, dtype=np.int64)
    for t in range(batches):
        for draw in range(draws):
            for i in range(size):
                row = (t * 2 + draw) * size + i
                pair = pairs[t, i] if draw == 0 else partner_pairs[t, i]
                first, end = pair_offsets[pair], pair_offsets[pair + 1]
                for at in range(first, end):
                    credits[draw, at] += pair_weights[at]
                q = -1
                for _ in range(first, end):
                    best = -1
                    for at in range(first, end):
                        if tried[at] != row and (best < 0 or credits[draw, at] > credits[draw, best]):
                            best = at
                    tried[best] = row
                    q = _next(
                        pair_groups[best], t, seeds[draw], offsets, members, buffers[draw], waits[draw], states[draw],
                        key_offsets, keys, negative_offsets, negatives, used, used_negative,
                    )  # fmt: skip
                    if q >= 0:
                        credits[draw, best] -= 1.0
                        break
                if q < 0:
                    return int(row)
                for k in range(key_offsets[q], key_offsets[q + 1]):
                    used[keys[k]] = t
                # a hard negative counts only where its question's passage stands
                if draw == draws - 1:
                    for k in range(negative_offsets[q], negative_offsets[q + 1]):
                        used_negative[negatives[k]] = t
                if draw == 0:
                    questions[t, i] = q
                if draw == draws - 1:
                    passages[t, i] = q
    return -1
