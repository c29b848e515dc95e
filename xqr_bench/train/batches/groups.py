"""Groups of questions that are in the same languages, and which groups serve which language pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import UsageError
from xqr_bench.train.streams import Stream, deck, generator
from xqr_bench.train.types import Int32, ParallelData
from xqr_bench.types import FloatArray, IntArray


@dataclass(frozen=True)
class Groups:
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


def group_questions(allowed: NDArray[np.bool_], use: FloatArray, shares: FloatArray | None) -> Groups:
    """Group the questions that allow the same language pairs, and say how often each group serves a pair.

    A same-language row takes any question of its language alike. Were it so in cross-lingual rows too, a question
    in four languages, which has twelve pairs, would come more often there than in monolingual training, one in two
    languages less often. So the groups' weights are scaled until each question comes as often as `use` says, and
    each pair keeps its share (iterative proportional fitting, Deming and Stephan 1940); where no weights do both, the
    shares of the pairs are kept and the use comes near.

    Args:
        allowed: whether a question may stand in a row of a language pair, bool `[questions, languages * languages]`.
        use: how often each question is to come, in any unit, float64 `[questions]`.
        shares: share of each pair, float64 `[languages, languages]`, or None: no cross-lingual row is drawn.
    """
    packed = np.ascontiguousarray(np.packbits(allowed, axis=1))
    kinds, first, group = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    sizes = np.bincount(group, minlength=len(kinds))
    by_pair = allowed[first].T  # [pairs, groups]
    weights: FloatArray = np.where(by_pair, sizes.astype(np.float64), 0.0)
    if shares is not None:
        cross = np.flatnonzero(shares.reshape(-1))
        target: FloatArray = np.bincount(group, weights=use, minlength=len(kinds)).astype(np.float64)
        weights[cross] = _fitted(weights[cross], shares.reshape(-1)[cross], target)
    pairs, groups = np.nonzero(by_pair)
    pair_offsets = np.concatenate([[0], np.cumsum(by_pair.sum(axis=1))]).astype(np.int64)
    chosen = weights[pairs, groups]
    return Groups(
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        members=np.argsort(group, kind="stable").astype(np.int32),
        pair_offsets=pair_offsets,
        pair_groups=groups.astype(np.int32),
        pair_weights=chosen / weights.sum(axis=1)[pairs],
    )


def _fitted(weights: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """The weights scaled by row and by column until rows have the sums `rows` and columns are as `columns` say."""
    reached = weights.sum(axis=0) > 0
    columns = np.where(reached, columns, 0.0)
    columns = columns * (rows.sum() / columns.sum())
    for _ in range(500):
        weights = weights * (rows / weights.sum(axis=1))[:, None]
        sums = weights.sum(axis=0)
        if np.abs(sums - columns).max() < 1e-9 * rows.sum():
            break
        weights = weights * np.divide(columns, sums, out=np.ones_like(sums), where=sums > 0)
    return weights


def even_use(data: ParallelData) -> FloatArray:
    """How often each question comes when languages come equally often and each takes all its questions alike.

    Returns:
        float64 `[questions]`, sum 1: the mean over languages of 1 / (questions of the language) where it is in it.
    """
    share: FloatArray = (data.has / data.has.sum(axis=0)).sum(axis=1) / len(data.languages)
    return share


def allowed_pairs(data: ParallelData, partners: Int32 | None = None) -> NDArray[np.bool_]:
    """Whether a question may stand in a row of a language pair, bool `[questions, languages * languages]`.

    Args:
        partners: from `choose_partners`; None: every pair of languages that the question is in.
    """
    has = data.has
    n, k = has.shape
    both = has[:, :, None] & has[:, None, :]
    if partners is not None:
        own = (partners[:, :, None] == np.arange(k)) | np.eye(k, dtype=bool)
        both = both & own
    return both.reshape(n, k * k)


def choose_partners(data: ParallelData, seed: int, data_set: int) -> Int32:
    """For each question and query language the one passage language of its cross-lingual rows.

    The languages of a question stand in a ring, the same for questions in the same languages; the partner is the
    one `s` places further, with `s` from 1 to one less than the languages, in a shuffled deck over the questions.
    So each language of a question is once a query language and once a passage language.

    Returns:
        int32 `[questions, languages]`, -1 where the question is not in the language or in no other.
    """
    rng = generator(seed, Stream.ALLOWED_PAIRS, data_set)
    partners = np.full(data.has.shape, -1, dtype=np.int32)
    kinds, group = np.unique(data.has, axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        ring = rng.permutation(np.flatnonzero(kind))
        if len(ring) < 2:
            continue
        questions = np.flatnonzero(group.reshape(-1) == number)
        shifts = 1 + deck(rng, len(ring) - 1, len(questions))
        for place, language in enumerate(ring):
            partners[questions, language] = ring[(place + shifts) % len(ring)]
    return partners


def _in_a_cover(possible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pairs stand in a choice of possible pairs that has each language once on either side.

    Only these can have a share when all languages have the same (Birkhoff 1946): without the others the scaling
    of Sinkhorn and Knopp converges fast.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    n = len(possible)
    found = np.zeros_like(possible)
    for a, b in np.argwhere(possible):
        rest = np.delete(np.delete(possible, a, axis=0), b, axis=1)
        matching = maximum_bipartite_matching(csr_array(rest.astype(np.int8)), perm_type="column")
        found[a, b] = n == 1 or bool((matching >= 0).all())
    return found


def pair_shares(data: ParallelData) -> FloatArray:
    """Share of each ordered language pair, so that each language has the same share of queries and of passages.

    All pairs equally where every pair shares a question. Else the pairs that do, scaled until rows and columns
    have equal sums (Sinkhorn and Knopp 1967); a pair that can have no share beside the others has none.

    Returns:
        float64 `[languages, languages]`, diagonal 0, sum 1.

    Raises:
        UsageError: no shares of the pairs that exist are equal for all languages.
    """
    has = data.has.astype(np.int64)
    shared = has.T @ has
    np.fill_diagonal(shared, 0)
    shares: FloatArray = (shared > 0).astype(np.float64)
    n = len(data.languages)
    if (shared > 0).sum() < n * (n - 1):
        shares = np.where(_in_a_cover(shared > 0), shares, 0.0)
        for _ in range(10_000):
            with np.errstate(invalid="ignore", divide="ignore"):
                shares = shares / shares.sum(axis=1, keepdims=True)
                shares = shares / shares.sum(axis=0, keepdims=True)
            if not np.abs(shares.sum(axis=1) - 1).max() > 1e-12:
                break
        if not (np.abs(shares.sum(axis=1) - 1) < 1e-9).all():
            lack = [
                f"{data.languages[a]}-{data.languages[b]}" for a, b in np.argwhere(np.triu(shared == 0, 1)).tolist()
            ]
            raise UsageError(
                f"{data.name}: no choice of language pairs gives each language the same share of queries and passages",
                found=f"no question in common: {', '.join(lack[:8])}{', ...' if len(lack) > 8 else ''}",
                remedy="add questions that join these languages, leave languages out, or train with alpha 1",
            )
    return np.asarray(shares / shares.sum(), dtype=np.float64)
