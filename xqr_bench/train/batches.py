"""From data and a strategy to a plan: languages drawn by the strategy, questions drawn apart, no false negatives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xqr_bench.core.errors import UsageError
from xqr_bench.core.jit import compiled
from xqr_bench.core.types import FloatArray, IntArray
from xqr_bench.train.plans import LanguageDraws, PlanRequest
from xqr_bench.train.types import BatchPlan, Int32, ParallelData, Stream, deck, generator

# The compiled loop that takes questions in order, leaving to later what would be a false negative.

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


# What can be said against data before anything is drawn.


def check_data(data: Sequence[ParallelData], asked: PlanRequest) -> None:
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


# Which questions may not stand in one batch, because one's passage would be a false negative of the other.


def find_conflicts(data: ParallelData) -> Conflicts:
    """Keys of a data set's questions, numbered; only those that can make a conflict are kept.

    Two questions conflict when they are one, share a relevant passage (article, paragraph, sentence) in any language,
    or have an equal passage text or an equal query text, in any languages. A question whose hard negative is, by its
    text, the passage of another conflicts with that one too. Texts are compared by a 64-bit hash: two that differ
    are taken for equal about once in 10^19 pairs, which only puts a row into a later batch.
    """
    n = data.n_questions
    kinds: dict[str, Iterable[Iterable[str]]] = {
        "key": data.relevant_keys,
        "passage": zip(*data.passages, strict=True),
        "query": zip(*data.queries, strict=True),
    }
    owned = pd.concat([_hashes(kind, rows) for kind, rows in kinds.items()]).drop_duplicates()
    negatives = (chain.from_iterable(texts) for texts in zip(*data.negatives or (), strict=True))
    wrong = _hashes("passage", negatives).drop_duplicates()
    keys, inverse, counts = np.unique(owned.value, return_inverse=True, return_counts=True)
    needed = (counts > 1) | np.isin(keys, wrong.value)
    number = np.cumsum(needed) - 1 + n  # 0 .. n-1 are the questions themselves
    stays = needed[inverse]
    wrong = wrong[np.isin(wrong.value, keys)]
    everyone = np.arange(n)
    return Conflicts(
        _ragged(np.concatenate([everyone, owned.owner[stays]]), np.concatenate([everyone, number[inverse][stays]]), n),
        _ragged(wrong.owner.to_numpy(), number[np.searchsorted(keys, wrong.value)], n),
        n + int(needed.sum()),
    )


def _hashes(kind: str, rows: Iterable[Iterable[str]]) -> pd.DataFrame:
    """Owner and hash of each text that is not empty."""
    owned = [(owner, text) for owner, row in enumerate(rows) for text in row if text]
    texts = np.array([text for _, text in owned], dtype=object)
    values = pd.util.hash_array(texts, hash_key=kind.ljust(16, "-"), categorize=False)
    return pd.DataFrame({"owner": np.array([owner for owner, _ in owned], dtype=np.int64), "value": values})


def _ragged(owner: IntArray, value: IntArray, n: int) -> Ragged:
    order = np.argsort(owner, kind="stable")
    return Ragged(_offsets(np.bincount(owner, minlength=n)), value[order].astype(np.int32))


def _offsets(sizes: IntArray) -> IntArray:
    """Where each part of so many values begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


# Groups of questions that are in the same languages, and which groups serve which language pair.


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
    return Groups(
        offsets=_offsets(sizes),
        members=np.argsort(group, kind="stable").astype(np.int32),
        pair_offsets=_offsets(by_pair.sum(axis=1)),
        pair_groups=groups.astype(np.int32),
        pair_weights=weights[pairs, groups] / weights.sum(axis=1)[pairs],
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
        both &= (partners[:, :, None] == np.arange(k)) | np.eye(k, dtype=bool)
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
    fits = np.zeros_like(possible)
    for a, b in np.argwhere(possible):
        rest = np.delete(np.delete(possible, a, axis=0), b, axis=1)
        matching = maximum_bipartite_matching(csr_array(rest.astype(np.int8)), perm_type="column")
        fits[a, b] = n == 1 or bool((matching >= 0).all())
    return fits


def pair_shares(data: ParallelData) -> FloatArray:
    """Share of each ordered language pair, so that each language has the same share of queries and of passages.

    All pairs equally where every pair shares a question. Else the pairs that do, scaled until rows and columns
    have equal sums (Sinkhorn and Knopp 1967); a pair that can have no share beside the others has none. Bitext that
    allows no such shares, as where every sentence is in English and one other language, has each of its pairs equally
    often: English then comes as often as all others together.

    Returns:
        float64 `[languages, languages]`, diagonal 0, sum 1.

    Raises:
        UsageError: no shares of the pairs that exist are equal for all languages, or bitext with a language that no
            sentence joins to another.
    """
    has = data.has.astype(np.int64)
    possible = has.T @ has > 0
    np.fill_diagonal(possible, False)
    shares: FloatArray = possible.astype(np.float64)
    n = len(data.languages)
    plain = shares / shares.sum()
    if possible.sum() < n * (n - 1):
        shares = np.where(_in_a_cover(possible), shares, 0.0)
        for _ in range(10_000):
            with np.errstate(invalid="ignore", divide="ignore"):
                shares = shares / shares.sum(axis=1, keepdims=True)
                shares = shares / shares.sum(axis=0, keepdims=True)
            if not np.abs(shares.sum(axis=1) - 1).max() > 1e-12:
                break
        if not (np.abs(shares.sum(axis=1) - 1) < 1e-9).all():
            if data.kind == "bitext" and possible.any(axis=0).all():
                return np.asarray(plain, dtype=np.float64)
            lack = [f"{data.languages[a]}-{data.languages[b]}" for a, b in np.argwhere(np.triu(~possible, 1)).tolist()]
            raise UsageError(
                f"{data.name}: no choice of language pairs gives each language the same share of queries and passages",
                found=f"no question in common: {', '.join(lack[:8])}{', ...' if len(lack) > 8 else ''}",
                remedy="add questions that join these languages, leave languages out, or train with alpha 1",
            )
    return np.asarray(shares / shares.sum(), dtype=np.float64)


# A plan of all batches, from data, a strategy and a seed.


def make_plan(data: ParallelData | Sequence[ParallelData], asked: PlanRequest) -> BatchPlan:
    """Draw which question, query language and passage language stand in each row of each batch.

    Args:
        data: one or more data sets; a batch comes from one of them, drawn in proportion to its questions.
        asked: ratio, strategy, steps, seed and the rest.

    Raises:
        UsageError: data that cannot give such batches.
    """
    sets = [data] if isinstance(data, ParallelData) else list(data)
    check_data(sets, asked)
    codes = tuple(dict.fromkeys(code for one in sets for code in one.languages))
    types = asked.rules.types(asked)
    sizes = np.cumsum([one.n_questions for one in sets])
    uniform = generator(asked.seed, Stream.DATA_SET).random(asked.steps)
    source = np.searchsorted(sizes[:-1], uniform * sizes[-1], side="right").astype(np.int32)
    shape = (asked.steps, asked.batch_size)
    question, passage, query_language, passage_language = (np.empty(shape, dtype=np.int32) for _ in range(4))
    for number, one in enumerate(sets):
        where = np.flatnonzero(source == number)
        if not len(where):
            continue
        columns = np.array([codes.index(code) for code in one.languages], dtype=np.int32)
        rows = _rows(one, number, types[where], asked)
        question[where], passage[where] = rows[0], rows[1]
        query_language[where], passage_language[where] = columns[rows[2]], columns[rows[3]]
    return BatchPlan(
        strategy=asked.strategy,
        seed=asked.seed,
        arguments=asked.arguments(),
        data_names=tuple(one.name for one in sets),
        data_digests=tuple(one.digest for one in sets),
        languages=codes,
        types=types,
        data_set=np.repeat(source[:, None], asked.batch_size, axis=1),
        question=question,
        passage_question=passage,
        query_language=query_language,
        passage_language=passage_language,
    )


def _rows(
    data: ParallelData, number: int, types: NDArray[np.int8], asked: PlanRequest
) -> tuple[Int32, Int32, Int32, Int32]:
    """Questions, questions of the passages, query and passage languages of one data set's batches."""
    shares = pair_shares(data) if asked.alpha < 1 else None
    draws = LanguageDraws(asked.seed, number, len(data.languages), shares)
    query, passage = asked.rules.languages(types, draws, asked)
    partners = choose_partners(data, asked.seed, number) if asked.distinct_pairs == "as-monolingual" else None
    # where every question is in every language the questions come first: they stay the same in every plan
    alike = data.fully_parallel
    groups = group_questions(allowed_pairs(data, None if alike else partners), even_use(data), shares)
    width = len(data.languages)
    pairs = (query * width + passage).astype(np.int32)
    second = (passage * (width + 1)).astype(np.int32) if asked.shuffle_positives else np.empty((0, 0), dtype=np.int32)
    seeds = np.array(
        [
            generator(asked.seed, stream, number).integers(2**64, dtype=np.uint64)
            for stream in (Stream.QUESTIONS, Stream.SHUFFLED_PASSAGES)
        ]
    )
    questions, passages = np.empty((2, *pairs.shape), dtype=np.int32)
    failed = take_questions(pairs, second, seeds, groups, find_conflicts(data), questions, passages)
    if failed >= 0:
        raise _cannot_fill(data, failed, pairs, second)
    if alike and partners is not None:
        passage = np.where(query != passage, partners[questions, query], passage).astype(np.int32)
    return questions, passages, query, passage


def _cannot_fill(data: ParallelData, failed: int, pairs: Int32, second: Int32) -> UsageError:
    size = pairs.shape[1]
    batch, draw, place = np.unravel_index(failed, (len(pairs), 2, size))
    columns = divmod(int((second if draw else pairs)[batch, place]), len(data.languages))
    both = int(data.has[:, columns].all(axis=1).sum())
    where = "in " + " and ".join(dict.fromkeys(data.languages[column] for column in columns))
    return UsageError(
        f"{data.name}: a batch of {size} cannot be filled without false negatives: after {place} rows no further "
        f"{'shuffled passage' if draw else 'question'} {where} fits",
        found=f"{both} questions {where}; questions of one sentence or of equal texts never stand in one batch",
        remedy="use a smaller batch, more data, or fewer languages",
    )
