"""The compiled loops that count what stands above and beside each relevant: in scores, in pools, in lines of a run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.jit import compiled

# How many scores of each language stand above a threshold, and how many are equal to it.
#
# Nothing is sorted and no tolerance is used: a relevant's threshold is an entry of the same block of scores, so an
# equal candidate has the same bits, and is counted as a tie. Counts are sums of integers: they come out the same in any
# order, over any cut of the columns, on any number of threads.


@compiled()
def count_rows(
    scores: NDArray[np.float32],
    edges: NDArray[np.int64],
    offsets: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq, for each relevant of each query row, the scores above and equal to its threshold.

    Why in this order: one language's scores (some 5 kB) stay in the first-level cache while all relevants of the row
    are counted against them. Why masks are summed as integers: such a loop vectorises, while a float32 sum may not be
    reordered and would run one score at a time; a branch would be mispredicted for every other score.

    Args:
        scores: float32 `[rows, width]`, one query a row.
        edges: int64 `[columns + 1]`, where each language begins in `scores`.
        offsets: int64 `[rows + 1]`, the relevants of each row.
        thresholds: float32 `[relevants]`, the score of each relevant.
        gt, eq: int32 `[relevants, columns]`, added to in place.
    """
    for row in range(scores.shape[0]):
        for column in range(len(edges) - 1):
            slice_ = scores[row, edges[column] : edges[column + 1]]
            for relevant in range(offsets[row], offsets[row + 1]):
                threshold = thresholds[relevant]
                above = np.int32(0)
                same = np.int32(0)
                for j in range(len(slice_)):  # by index: an iterator keeps the loop from vectorising
                    above += np.int32(slice_[j] > threshold)
                    same += np.int32(slice_[j] == threshold)
                gt[relevant, column] += above
                eq[relevant, column] += same


@compiled()
def bit_sums(vectors: NDArray[np.float32], sums: NDArray[np.uint64]) -> None:
    """Write the sum of the bits of each row, the same for equal rows: float32 `[n, d]` to uint64 `[n]`.

    A cheap first look: only rows that share a sum can be equal, and are then compared by a digest.
    """
    for row in range(vectors.shape[0]):
        bits = vectors[row].view(np.uint32)
        total = np.uint64(0)
        for j in range(len(bits)):
            total += np.uint64(bits[j]) if bits[j] != np.uint32(1 << 31) else np.uint64(0)  # -0.0 as 0.0
        sums[row] = total


@compiled()
def hide(scores: NDArray[np.float32], places: NDArray[np.int64]) -> None:
    """Put scores at these places of every row below any other: float32 `[rows, width]`, in place.

    Candidates whose vector occurs more than once are counted by group: equal columns of one product can have unequal
    bits, and a tie would come and go with the processor. -inf is above no threshold and equal to none.
    """
    for row in range(scores.shape[0]):
        for place in places:
            scores[row, place] = -np.inf


class GroupPairs(NamedTuple):
    """(group, language) pairs ordered by language, then group, as the compiled loops take them.

    Attributes:
        columns: the column that holds the score of the group, int64 `[pairs]`.
        sizes: how many candidates of the language the group has, int32 `[pairs]`.
        starts, stops: the pairs of each language, int64 `[languages]` both.
    """

    columns: NDArray[np.int64]
    sizes: NDArray[np.int32]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


@compiled()
def count_groups(
    scores: NDArray[np.float32],
    pairs: GroupPairs,
    offsets: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq, as `count_rows`, candidates that share a score.

    Args:
        scores, offsets, thresholds, gt, eq: see `count_rows`.
        pairs: the columns of the groups.
    """
    groups, counts, starts, stops = pairs.columns, pairs.sizes, pairs.starts, pairs.stops
    longest = np.int64(0)
    for column in range(len(starts)):
        longest = max(longest, stops[column] - starts[column])
    gathered = np.empty(longest, dtype=np.float32)
    for row in range(scores.shape[0]):
        for column in range(len(starts)):
            size = stops[column] - starts[column]
            weights = counts[starts[column] : stops[column]]
            # groups stand all over the block: their scores are gathered once for all relevants of the row, so that
            # the loop over them reads one piece of memory, and vectorises
            for j in range(size):
                gathered[j] = scores[row, groups[starts[column] + j]]
            for relevant in range(offsets[row], offsets[row + 1]):
                threshold = thresholds[relevant]
                above = np.int32(0)
                same = np.int32(0)
                for j in range(size):
                    above += weights[j] * np.int32(gathered[j] > threshold)
                    same += weights[j] * np.int32(gathered[j] == threshold)
                gt[relevant, column] += above
                eq[relevant, column] += same


@compiled()
def count_own_groups(
    scores: NDArray[np.float32],
    pairs: GroupPairs,
    offsets: NDArray[np.int64],
    columns: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq, as `count_own`, candidates that share a score.

    Args:
        scores, offsets, columns, thresholds, gt, eq: see `count_own`.
        pairs: see `count_groups`.
    """
    groups, counts, starts, stops = pairs.columns, pairs.sizes, pairs.starts, pairs.stops
    for row in range(scores.shape[0]):
        for index in range(offsets[row], offsets[row + 1]):
            if columns[index] < 0:
                continue
            threshold = thresholds[index]
            above = np.int32(0)
            same = np.int32(0)
            for pair in range(starts[columns[index]], stops[columns[index]]):
                score = scores[row, groups[pair]]
                above += counts[pair] * np.int32(score > threshold)
                same += counts[pair] * np.int32(score == threshold)
            gt[index] += above
            eq[index] += same


# Compiled loops for the counts beside the strict ones: many thresholds a query, and the top of each ranking.

SLOTS = 1 << 14
_SHIFT = 32 - 14
CHUNK = 4096  # scores that stay in the first-level cache while all thresholds pass over them


@compiled()
def _slot(bits: np.uint32) -> np.uint32:
    """A slot by the bits of a score: the high bits of their product with 2^32 / golden ratio."""
    return np.uint32(np.uint32(bits * np.uint32(2654435761)) >> np.uint32(_SHIFT))


@compiled()
def count_pool(
    scores: NDArray[np.float32],
    width: int,
    offsets: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq the scores of the whole row above and equal to each threshold.

    For some fifty thresholds a row, where `count_rows` would read every score fifty times:

    - thresholds are sorted and equal ones counted once, then taken four at a time: one load of a score serves four
      comparisons;
    - a chunk of scores stays in the first-level cache while all thresholds pass over it;
    - equal scores are rare, so they are not compared for but looked up: a table of 16,384 slots marks where the bits
      of the thresholds fall, and only a score that falls into a marked slot is searched for among the thresholds.

    Args:
        scores: float32 `[rows, at least width]`, finite or -inf. Contiguous: a part of the columns of an array would
            keep the loops from vectorising, hence the width beside it.
        width: how many of the columns to count in.
        offsets: int64 `[rows + 1]`, the thresholds of each row.
        thresholds: float32 `[thresholds]`.
        gt, eq: int32 `[thresholds]`, added to in place.
    """
    most = 0
    for row in range(scores.shape[0]):
        most = max(most, offsets[row + 1] - offsets[row])
    marked = np.zeros(SLOTS, dtype=np.uint8)
    levels = np.empty(most + 4, dtype=np.float32)
    level_bits = levels.view(np.uint32)
    above = np.zeros(most + 4, dtype=np.int32)
    same = np.zeros(most + 4, dtype=np.int32)
    place = np.empty(most, dtype=np.int64)
    for row in range(scores.shape[0]):
        first, last = offsets[row], offsets[row + 1]
        if first == last:
            continue
        n = 0  # distinct thresholds, ascending
        for index in np.argsort(thresholds[first:last]):
            threshold = thresholds[first + index]
            if n == 0 or threshold > levels[n - 1]:
                levels[n] = threshold
                n += 1
            place[index] = n - 1
        levels[n : n + 4] = np.inf  # the last four are filled up with what no score is above
        above[: n + 4] = 0
        same[:n] = 0
        for i in range(n):
            marked[_slot(level_bits[i])] = 1
            if levels[i] == np.float32(0.0):  # 0.0 and -0.0 are equal but not the same bits
                marked[_slot(np.uint32(0))] = 1
                marked[_slot(np.uint32(1 << 31))] = 1
        for start in range(0, width, CHUNK):
            chunk = scores[row, start : min(start + CHUNK, width)]
            for i in range(0, n, 4):
                a, b, c, d = levels[i], levels[i + 1], levels[i + 2], levels[i + 3]
                over_a, over_b, over_c, over_d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
                for j in range(len(chunk)):  # by index: an iterator keeps the loop from vectorising
                    score = chunk[j]
                    over_a += np.int32(score > a)
                    over_b += np.int32(score > b)
                    over_c += np.int32(score > c)
                    over_d += np.int32(score > d)
                above[i] += over_a
                above[i + 1] += over_b
                above[i + 2] += over_c
                above[i + 3] += over_d
            bits = chunk.view(np.uint32)
            for j in range(len(chunk)):
                if marked[_slot(bits[j])]:
                    score = chunk[j]
                    low, high = 0, n
                    while low < high:
                        middle = (low + high) >> 1
                        if levels[middle] < score:
                            low = middle + 1
                        else:
                            high = middle
                    if low < n and levels[low] == score:
                        same[low] += 1
        for i in range(n):  # only what was marked: clearing all slots would take longer than the row
            marked[_slot(level_bits[i])] = 0
            if levels[i] == np.float32(0.0):
                marked[_slot(np.uint32(0))] = 0
                marked[_slot(np.uint32(1 << 31))] = 0
        for index in range(last - first):
            gt[first + index] += above[place[index]]
            eq[first + index] += same[place[index]]


@compiled()
def count_own(
    scores: NDArray[np.float32],
    edges: NDArray[np.int64],
    offsets: NDArray[np.int64],
    columns: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq the scores of one language for each threshold, such as its own, above and equal to it.

    `count_rows` counts every threshold in every language; of the fifty sentences of paragraphs only one is asked for.

    Args:
        scores, offsets, thresholds, gt, eq: as for `count_pool`.
        edges: int64 `[columns + 1]`, where each language begins in `scores`.
        columns: int64 `[thresholds]`; -1: none.
    """
    for row in range(scores.shape[0]):
        for index in range(offsets[row], offsets[row + 1]):
            if columns[index] < 0:
                continue
            slice_ = scores[row, edges[columns[index]] : edges[columns[index] + 1]]
            threshold = thresholds[index]
            above = np.int32(0)
            same = np.int32(0)
            for j in range(len(slice_)):
                above += np.int32(slice_[j] > threshold)
                same += np.int32(slice_[j] == threshold)
            gt[index] += above
            eq[index] += same


@compiled()
def _ordered(bits: np.int32) -> np.int32:
    """Bits of a float32 as an integer that is ordered as the float is (-0.0 below 0.0); its own inverse."""
    return np.int32(bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF)))


@compiled()
def count_top(
    scores: NDArray[np.float32], edges: NDArray[np.int64], best: NDArray[np.float32], count: NDArray[np.int32]
) -> None:
    """Keep the highest score of each column, and how many candidates have it where no column of the row has more.

    A maximum of floats does not vectorise (NaN and the signs of zero fix its order), one of integers in the same order
    does. The candidates at the top are counted only in the languages that have the row's highest score so far, so
    nearly every language is read once.

    Args:
        scores, edges: as for `count_own`.
        best: float32 `[rows, columns]`, -inf at first, updated in place; a score of -inf is no candidate.
        count: int32 `[rows, columns]`, updated in place; of no meaning where `best` is not the highest of its row.
    """
    n_columns = len(edges) - 1
    highest = np.empty(n_columns, dtype=np.float32)
    highest_bits = highest.view(np.int32)
    for row in range(scores.shape[0]):
        top = np.float32(-np.inf)
        for column in range(n_columns):
            bits = scores[row, edges[column] : edges[column + 1]].view(np.int32)
            most = np.int32(-(2**31))
            for j in range(len(bits)):  # by index: an iterator keeps the loop from vectorising
                value = _ordered(bits[j])
                most = value if value > most else most
            highest_bits[column] = _ordered(most)
            if len(bits) == 0:
                highest[column] = -np.inf
            top = max(top, max(highest[column], best[row, column]))
        for column in range(n_columns):
            if highest[column] > best[row, column]:
                best[row, column] = highest[column]
                count[row, column] = 0
            if highest[column] == top and top > -np.inf:
                slice_ = scores[row, edges[column] : edges[column + 1]]
                same = np.int32(0)
                for j in range(len(slice_)):
                    same += np.int32(slice_[j] == top)
                count[row, column] += same


@compiled()
def count_top_groups(
    scores: NDArray[np.float32],
    pairs: GroupPairs,
    best: NDArray[np.float32],
    count: NDArray[np.int32],
) -> None:
    """Keep the highest score of each column, as `count_top`, of candidates that share a score.

    Args:
        scores, pairs: see `count_groups`.
        best, count: as for `count_top`.
    """
    groups, counts, starts, stops = pairs.columns, pairs.sizes, pairs.starts, pairs.stops
    for row in range(scores.shape[0]):
        for column in range(len(starts)):
            for pair in range(starts[column], stops[column]):
                score = scores[row, groups[pair]]
                if score > best[row, column]:
                    best[row, column] = score
                    count[row, column] = counts[pair]
                elif score == best[row, column]:
                    count[row, column] += counts[pair]


# The best candidates of each ranking.

_CHUNK_OF_BEST = 64


class Standings(NamedTuple):
    """The best candidates so far of some rankings, and how many more score the same as the last of them.

    Attributes:
        scores: best first, float32 `[rows, k]`; -inf where there are fewer.
        places: index of each candidate, int32 `[rows, k]`; -1 where there are fewer. Equal scores are in this order.
        beyond: candidates of each language beyond these k that score the same as the k-th, int32 `[rows, languages]`.
    """

    scores: NDArray[np.float32]
    places: NDArray[np.int32]
    beyond: NDArray[np.int32]


@compiled()
def _stand(
    scores: NDArray[np.float32],
    places: NDArray[np.int32],
    beyond: NDArray[np.int32],
    score: np.float32,
    place: int,
    languages: NDArray[np.int64],
) -> None:
    """Take one more candidate into the standings of one ranking; the order in which they come does not matter."""
    last = len(scores) - 1
    dropped, dropped_score = places[last], scores[last]
    if dropped >= 0 and (score < dropped_score or (score == dropped_score and place > dropped)):
        beyond[languages[place]] += np.int32(score == dropped_score)
        return
    at = last
    while at > 0 and (
        places[at - 1] < 0 or score > scores[at - 1] or (score == scores[at - 1] and place < places[at - 1])
    ):
        scores[at], places[at] = scores[at - 1], places[at - 1]
        at -= 1
    scores[at], places[at] = score, place
    if dropped >= 0:
        if scores[last] == dropped_score:
            beyond[languages[dropped]] += 1
        else:
            beyond[:] = 0


@compiled()
def keep_best(
    scores: NDArray[np.float32], candidates: tuple[int, int], languages: NDArray[np.int64], standings: Standings
) -> None:
    """Take the candidates of some columns into the standings.

    The highest score of every 64 candidates is found first, by a loop that vectorises as that of `count_top`. The k-th
    highest of these is no more than the k-th best score, so only chunks that reach it are read again: some twenty of
    two hundred.

    Args:
        scores: float32 `[rows, width]`, one query a row; a score of -inf is no candidate.
        candidates: those in the first columns: the first, and the one after the last.
        languages: language of each candidate of the task, int64 `[candidates]`.
        standings: updated in place.
    """
    first, width = candidates[0], candidates[1] - candidates[0]
    chunks = (width + _CHUNK_OF_BEST - 1) // _CHUNK_OF_BEST
    highest = np.empty(chunks, dtype=np.float32)
    highest_bits = highest.view(np.int32)
    k = standings.scores.shape[1]
    upper = np.empty(k, dtype=np.float32)  # the k highest of them, best first
    for row in range(scores.shape[0]):
        upper[:] = -np.inf
        for chunk in range(chunks):
            start = chunk * _CHUNK_OF_BEST
            bits = scores[row, start : min(start + _CHUNK_OF_BEST, width)].view(np.int32)
            most = np.int32(-(2**31))
            for j in range(len(bits)):  # by index: an iterator keeps the loop from vectorising
                value = _ordered(bits[j])
                most = value if value > most else most
            highest_bits[chunk] = _ordered(most)
            if highest[chunk] > upper[k - 1]:
                at = k - 1
                while at > 0 and highest[chunk] > upper[at - 1]:
                    upper[at] = upper[at - 1]
                    at -= 1
                upper[at] = highest[chunk]
        of_row, places, beyond = standings.scores[row], standings.places[row], standings.beyond[row]
        for chunk in range(chunks):
            if highest[chunk] == -np.inf or highest[chunk] < max(upper[k - 1], of_row[k - 1]):
                continue
            start = chunk * _CHUNK_OF_BEST
            for j in range(start, min(start + _CHUNK_OF_BEST, width)):
                score = scores[row, j]
                if score >= max(upper[k - 1], of_row[k - 1]) and score > -np.inf:
                    _stand(of_row, places, beyond, score, first + j, languages)


@compiled()
def keep_best_of(
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    scores: NDArray[np.float32],
    languages: NDArray[np.int64],
    standings: Standings,
) -> None:
    """Take single candidates into the standings: row, candidate and score of each."""
    for i in range(len(rows)):
        row = rows[i]
        if scores[i] >= standings.scores[row, -1] and scores[i] > -np.inf:
            _stand(standings.scores[row], standings.places[row], standings.beyond[row], scores[i], places[i], languages)


@compiled()
def keep_best_groups(
    scores: NDArray[np.float32],
    first: int,
    starts: NDArray[np.int64],
    members: NDArray[np.int64],
    languages: NDArray[np.int64],
    standings: Standings,
) -> None:
    """Take candidates that share a score into the standings.

    Args:
        scores: float32 `[rows, width]`.
        first: the column of the first group.
        starts: where the members of each group begin, int64 `[groups + 1]`.
        members: the candidates, group by group.
        languages, standings: as for `keep_best`.
    """
    for row in range(scores.shape[0]):
        of_row, places, beyond = standings.scores[row], standings.places[row], standings.beyond[row]
        for group in range(len(starts) - 1):
            score = scores[row, first + group]
            for member in range(starts[group], starts[group + 1]):
                if score < of_row[-1] or score == -np.inf:
                    break
                _stand(of_row, places, beyond, score, members[member], languages)


# The lines of a run: what stands above and beside each relevant.


class Lines(NamedTuple):
    """Whole lists of a run.

    Attributes:
        starts: where the lines of each list begin, int64 `[lists + 1]`.
        numbers: which list of the task each is, int64 `[lists]`, each once in a file.
        documents: candidate of each line, int64 `[lines]`.
        scores: float32 `[lines]`.
    """

    starts: NDArray[np.int64]
    numbers: NDArray[np.int64]
    documents: NDArray[np.int64]
    scores: NDArray[np.float32]


@compiled()
def count_lines(
    lines: Lines,
    columns: NDArray[np.int64],
    offsets: NDArray[np.int64],
    positions: NDArray[np.int64],
    seen: NDArray[np.int64],
    score_of: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
    two: bool,
) -> int:
    """Count for some lists of a run; a relevant that is not in its list keeps the counts it has.

    Args:
        lines: the lists.
        columns: column of each candidate, int64 `[candidates]`.
        offsets, positions: the relevants of the task's lists (see `Lists`).
        seen: the last list in which each candidate stood, int64 `[candidates]`, -1 at first; changed. So what a list
            holds is known without clearing an array of all candidates for each list.
        score_of: room for a score per candidate, float32 `[candidates]`; changed.
        gt, eq: int32 `[rows, columns]`, written for the relevants that are there; where they have two columns and
            `two` is true: of the relevant's own language, and of all others.
        two: see there.

    Returns:
        the first line whose candidate its list holds already, or -1.
    """
    for i in range(len(lines.numbers)):
        number = lines.numbers[i]
        for line in range(lines.starts[i], lines.starts[i + 1]):
            document = lines.documents[line]
            if seen[document] == number:
                return line
            seen[document] = number
            score_of[document] = lines.scores[line]
        for row in range(offsets[number], offsets[number + 1]):
            if seen[positions[row]] != number:
                continue
            threshold = score_of[positions[row]]
            gt[row, :] = 0
            eq[row, :] = 0
            for line in range(lines.starts[i], lines.starts[i + 1]):
                column = columns[lines.documents[line]]
                if two:
                    column = np.int64(column != columns[positions[row]])
                gt[row, column] += np.int32(lines.scores[line] > threshold)
                eq[row, column] += np.int32(lines.scores[line] == threshold)
    return -1


@compiled()
def best_tokens(
    products: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64], scores: NDArray[np.float32]
) -> None:
    """Write MaxSim: for each token of a query the greatest product with a token of the candidate, summed in float64.

    The maximum is taken over whole rows, whose columns do not depend on one another, so it runs as fast as they are
    read: a small part of what their product takes.

    Args:
        products: float32 `[tokens of candidates, tokens of queries]`, C-contiguous.
        rows: where each candidate begins, int64 `[candidates + 1]`; none is empty.
        columns: where each query begins, int64 `[queries + 1]`.
        scores: float32 `[queries, candidates]`, written.
    """
    best = np.empty(products.shape[1], dtype=np.float32)
    for candidate in range(len(rows) - 1):
        best[:] = products[rows[candidate]]
        for row in range(rows[candidate] + 1, rows[candidate + 1]):
            for j in range(len(best)):
                best[j] = products[row, j] if products[row, j] > best[j] else best[j]
        for query in range(len(columns) - 1):
            total = 0.0
            for j in range(columns[query], columns[query + 1]):
                total += best[j]
            scores[query, candidate] = total


@compiled()
def add_postings(
    values: NDArray[np.float32],
    columns: NDArray[np.int64],
    edges: NDArray[np.int64],
    weights: NDArray[np.float32],
    candidates: NDArray[np.int64],
    begins: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> None:
    """Add the products of sparse rows to scores, column by column in ascending order: one sum in one order for a pair.

    Args:
        values, columns: the entries of queries, float32 and int64 `[entries]`.
        edges: where each query begins in them, int64 `[queries + 1]`.
        weights, candidates: the entries of candidates by column, and whose they are, float32 and int64 `[entries]`.
        begins: where each column begins in them, int64 `[columns + 1]`.
        scores: float32 `[queries, candidates]`, added to.
    """
    for query in range(len(edges) - 1):
        for entry in range(edges[query], edges[query + 1]):
            column, value = columns[entry], values[entry]
            for place in range(begins[column], begins[column + 1]):
                scores[query, candidates[place]] += value * weights[place]
