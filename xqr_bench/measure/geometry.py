"""How the vectors of a task lie: what explains the figures of bias (docs/geometry.md)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, Field
from threadpoolctl import threadpool_limits

from xqr_bench.core.checked import checked
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import FloatArray, IntArray, TaskData
from xqr_bench.encode import BoundEncoder, Embeddings, VectorStore, embedder_of
from xqr_bench.encode.transform import TransformedEmbeddings, TransformOptions
from xqr_bench.rank.exact import ScoreBlock, vector_scores
from xqr_bench.tasks import Selection, TaskSpec

# Hubness: candidates that stand near the top for very many queries.


K = 10


def count_occurrences(
    blocks: Iterator[ScoreBlock], query_groups: IntArray, candidate_groups: IntArray, k: int = K
) -> tuple[FloatArray, FloatArray]:
    """Count N_k: how often candidates are among the best k of a query, in the pool of all languages.

    Args:
        blocks: scores of all queries against all candidates.
        query_groups, candidate_groups: the number of the language of each, int64 `[queries]`, `[candidates]`.
        k: how many places count, at most the size of the pool.

    Returns:
        N_k of each candidate, float64 `[candidates]`; where candidates tie at place k, the places left are shared out
        evenly among them, so that each query gives k in all. And its sum over queries of one language (row) and
        candidates of one (column), float64 `[query groups, candidate groups]`.
    """
    width = len(candidate_groups)
    n_groups = (int(query_groups.max()) + 1, int(candidate_groups.max()) + 1)
    of_candidate = np.zeros(width)
    by_language = np.zeros(n_groups[0] * n_groups[1])
    for block in blocks:
        scores = block.pooled
        least = np.partition(scores, width - k, axis=1)[:, width - k][:, None]
        rows, columns = np.nonzero(scores >= least)
        tied = scores[rows, columns] == least[rows, 0]
        n = len(scores)
        above = np.bincount(rows[~tied], minlength=n)
        weights = np.where(tied, ((k - above) / np.bincount(rows[tied], minlength=n))[rows], 1.0)
        of_candidate += np.bincount(columns, weights=weights, minlength=width)
        cell = query_groups[block.start + rows] * n_groups[1] + candidate_groups[columns]
        by_language += np.bincount(cell, weights=weights, minlength=len(by_language))
    return of_candidate, by_language.reshape(n_groups)


def skewness(values: FloatArray) -> float | None:
    """Third standardised moment, the population one; None where all values are the same.

    Of N_k: Radovanovic, Nanopoulos & Ivanovic 2010 ("Hubs in Space"): S = E[(N_k - mean)^3] / sd^3. 0 for a symmetric
    spread; the more hubs, the greater.
    """
    deviations = values - values.mean()
    variance = float(np.square(deviations).mean())
    if variance == 0.0:
        return None
    return float((deviations**3).mean() / variance**1.5)


# A probe: can a linear classifier tell from a vector which language the text is in?

FOLDS = 2
ITERATIONS = 200
TOLERANCE = 1e-3
MOST = 4000
"""Vectors a fold trains on, at most: more make the probe slow, and hardly better."""


class Probe(NamedTuple):
    """What the probe names.

    Attributes:
        accuracy: share of the held-out texts whose language it names.
        chance: share that naming the most frequent language of the held-out texts would get.
        recall: language number -> the accuracy on the texts of that language.
    """

    accuracy: float
    chance: float
    recall: dict[int, float]


def language_probe(vectors: FloatArray, languages: IntArray, articles: IntArray) -> Probe | None:
    """Train logistic regression on the texts of some articles, test it on those of the others, and the other way round.

    Articles are dealt to two folds in turn, by their number, so no article is on both sides: the probe cannot
    recognise an article instead of a language. Multinomial, L2 with C = 1 on vectors of length
    sqrt(d) (so that a component is about 1), lbfgs from zero: nothing is drawn at random.

    Args:
        vectors: of length 1, float64 `[n, d]`.
        languages: number of the language of each, int64 `[n]`.
        articles: number of the article of each, int64 `[n]`.

    Returns:
        None where there are fewer than two languages or articles, or a fold lacks a language.
    """
    fold = np.unique(articles, return_inverse=True)[1].reshape(-1) % FOLDS
    classes = np.unique(languages)
    if len(classes) < 2 or any(len(np.unique(languages[fold == f])) < len(classes) for f in range(FOLDS)):
        return None
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scaled = vectors * math.sqrt(vectors.shape[1])
    right = np.zeros(len(languages), dtype=np.bool_)
    most_frequent = 0
    for held_out in range(FOLDS):
        train = np.flatnonzero(fold != held_out)
        train = train[np.unique(np.linspace(0, len(train) - 1, min(MOST, len(train))).astype(np.int64))]
        test = fold == held_out
        model = LogisticRegression(C=1.0, solver="lbfgs", max_iter=ITERATIONS, tol=TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is as good for a share
            model.fit(scaled[train], languages[train])
        right[test] = model.predict(scaled[test]) == languages[test]
        most_frequent += int(np.unique(languages[test], return_counts=True)[1].max())
    return Probe(
        accuracy=float(right.mean()),
        chance=most_frequent / len(languages),
        recall={int(code): float(right[languages == code].mean()) for code in classes},
    )


# Distances and cosines of vectors: alignment, uniformity, mean cosines, IsoScore.
#
# All on vectors of length 1, float64 `[n, d]`; what is zero has no direction and must be left out before.

TILE = 1024
HEAT = 2.0


def mean_distance_of_others(a: FloatArray, b: FloatArray, together: FloatArray) -> float | None:
    """Mean of |a_i - b_j|^2 over all i, j that do not belong together; None where there are none.

    For vectors of length 1 the mean over all pairs is 2 - 2 m_a'm_b with the mean vectors.

    Args:
        a, b: float64 `[n_a, d]`, `[n_b, d]`.
        together: squared distances of the pairs left out, float64 `[pairs]`.
    """
    pairs = len(a) * len(b)
    if pairs == len(together):
        return None
    total = pairs * (2.0 - 2.0 * float(a.mean(axis=0) @ b.mean(axis=0)))
    return (total - float(together.sum())) / (pairs - len(together))


def uniformity(vectors: FloatArray) -> float | None:
    """log of the mean of exp(-2 |x - y|^2) over all pairs of different rows; None for fewer than two rows.

    Wang & Isola 2020 ("Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere"), t = 2. 0: all vectors are one; -4: as far as many directions at right angles go.
    """
    n = len(vectors)
    if n < 2:
        return None
    rows = vectors.astype(np.float32)
    total = 0.0
    for start in range(0, n, TILE):
        block = rows[start : start + TILE]
        # |x - y|^2 = 2 - 2 x'y; each pair once, above the diagonal
        cosines = block @ rows[start:].T
        np.exp(2 * HEAT * (cosines - 1), out=cosines)
        total += float(cosines[:, len(block) :].sum(dtype=np.float64))
        total += float(np.triu(cosines[:, : len(block)], 1).sum(dtype=np.float64))
    return math.log(total / (n * (n - 1) / 2))


def mean_cosine(vectors: FloatArray) -> float | None:
    """Mean cosine of two different rows: (|sum of rows|^2 - n) / (n (n - 1)); None for fewer than two rows.

    Ethayarajh 2019 ("How Contextual are Contextualized Word Representations?") calls it anisotropy, from samples.
    """
    n = len(vectors)
    if n < 2:
        return None
    total = vectors.sum(axis=0)
    return (float(total @ total) - n) / (n * (n - 1))


def cosine_between(groups: Sequence[FloatArray]) -> float | None:
    """Mean cosine of two rows of different groups; None where there is only one group."""
    sums = np.array([group.sum(axis=0) for group in groups if len(group)])
    sizes = np.array([len(group) for group in groups if len(group)], dtype=np.float64)
    pairs = sizes.sum() ** 2 - np.square(sizes).sum()
    if not pairs:
        return None
    whole = sums.sum(axis=0)
    return (float(whole @ whole) - float(np.square(sums).sum())) / float(pairs)


def isoscore(vectors: FloatArray) -> float | None:
    """Share of the dimensions that the vectors use evenly, 0 .. 1; None for fewer than two rows or dimensions.

    Rudman, Gillman, Rayne & Eickhoff 2022 ("IsoScore: Measuring the Uniformity of Embedding Space Utilization"): with
    the variances s along the principal axes, scaled to the length of a vector of ones,
    delta = |s - 1| / sqrt(2 (d - sqrt d)), phi = (d - delta^2 (d - sqrt d))^2 / d^2, score = (d phi - 1) / (d - 1).
    """
    n, d = vectors.shape
    if n < 2 or d < 2:
        return None
    centred = vectors - vectors.mean(axis=0)
    gram = centred.T @ centred if d <= n else centred @ centred.T
    variances = np.zeros(d)
    values = np.linalg.eigvalsh(gram)
    variances[: len(values)] = np.clip(values, 0.0, None)
    length = float(np.linalg.norm(variances))
    if length == 0.0:
        return None
    scaled = math.sqrt(d) * variances / length
    defect: float = float(np.linalg.norm(scaled - 1)) / math.sqrt(2 * (d - math.sqrt(d)))
    share: float = (d - defect * defect * (d - math.sqrt(d))) / d
    return float((d * share * share - 1) / (d - 1))


# The panel: every measure of the geometry of one task's vectors.


class LanguageGeometry(BaseModel, extra="forbid"):
    """One language; absent: not defined."""

    alignment: float | None = Field(default=None, description="mean over the pairs of languages it is one of")
    alignment_ratio: float | None = Field(default=None, description="the same over that of texts that are no pair")
    uniformity: float | None = None
    mean_cosine: float | None = Field(default=None, description="of two of its queries")
    isoscore: float | None = None
    probe: float | None = Field(default=None, description="share of its held-out queries whose language is named")
    pool_share: float = Field(description="its candidates over all candidates")
    top_share: float = Field(description="its share of the first k places, over all queries")


class Geometry(BaseModel, extra="forbid"):
    """How the vectors of one task lie; absent: not defined, `reasons` says why."""

    task: str
    model: str
    transform: str | None = Field(default=None, description="what was done to the vectors; absent: nothing")
    dimensions: int
    n_queries: int = Field(description="queries with a vector other than zero")
    n_candidates: int
    alignment: float | None = Field(default=None, description="mean squared distance of a query and its translation")
    other_pairs: float | None = Field(default=None, description="the same of queries that are no translations")
    alignment_ratio: float | None = Field(default=None, description="alignment / other_pairs; 0 one vector, 1 no pair")
    uniformity: float | None = Field(default=None, description="of all queries")
    cosine_within: float | None = Field(default=None, description="of two queries of one language, mean of languages")
    cosine_between: float | None = Field(default=None, description="of two queries of different languages")
    isoscore: float | None = Field(default=None, description="of all queries")
    probe: float | None = Field(default=None, description="share of held-out queries whose language is named")
    probe_chance: float | None = None
    k: int
    hub_skewness: float | None = Field(default=None, description="of N_k over the candidates")
    hub_largest: float = Field(description="the greatest N_k, as a share of the queries")
    orphans: float = Field(description="share of candidates that are never among the first k")
    own_language: float = Field(description="share of the first k places with a candidate in the query's language")
    own_language_chance: float = Field(description="the same if places were filled at random")
    by_language: dict[str, LanguageGeometry]
    places: dict[str, dict[str, float]] = Field(
        description="query language -> candidate language -> share of the first k places"
    )
    reasons: dict[str, str] = Field(default_factory=dict, description="figure -> why it is not defined")


def measure_geometry(
    data: TaskData,
    vectors: Embeddings,
    *,
    similarity: str = "cosine",
    model: str = "",
    transform: str | None = None,
) -> Geometry:
    """Measure how the vectors of a task lie; nothing is drawn at random.

    Alignment, uniformity, cosines, IsoScore and the probe look at queries, which are translations of each other, as
    directions (vectors of length 1), whatever the similarity; zero vectors are left out. Hubs are counted with the
    encoder's own similarity over the pool of all candidates, as the multilingual setting ranks it.

    Args:
        data: the task.
        vectors: of the task, as they are to be looked at.
        similarity: "cosine" or "dot".
        model: names the encoder.
        transform: names what was done to the vectors.
    """
    codes = list(data.query_languages)
    languages = np.array([codes.index(query.language) for query in data.queries], dtype=np.int64)
    wide = vectors.queries.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    nonzero = np.flatnonzero(lengths)
    with threadpool_limits(1, user_api="blas"):  # the same figures with any number of threads
        unit = wide[nonzero] / lengths[nonzero, None]
        groups = [unit[languages[nonzero] == place] for place in range(len(codes))]
        pairs, others = _distances(data, unit, nonzero)
        probe = language_probe(unit, languages[nonzero], np.array(data.clusters, dtype=np.int64)[nonzero])
        k = min(K, len(data.candidates))
        blocks = vector_scores(vectors.queries, vectors.candidates, similarity=similarity)
        of_candidate, by_pair = count_occurrences(blocks, languages, data.candidate_columns, k)
        of_all = {"uniformity": uniformity(unit), "isoscore": isoscore(unit), "cosine_between": cosine_between(groups)}
        of_groups = [
            {"uniformity": uniformity(group), "isoscore": isoscore(group), "mean_cosine": mean_cosine(group)}
            for group in groups
        ]
    sizes = data.column_sizes / len(data.candidates)
    places = by_pair / by_pair.sum()
    skew = skewness(of_candidate)
    within = [of_group["mean_cosine"] for of_group in of_groups]
    reasons = {
        "alignment": _of_how_many(len(pairs), len(codes) * (len(codes) - 1) // 2, "pairs of languages")
        if pairs
        else "no question is there in two languages",
        "cosine_within": _of_how_many(sum(one is not None for one in within), len(codes), "languages"),
        "probe": "" if probe else "needs two languages, and two groups of articles that both have every language",
        "hub_skewness": "every candidate is among the first k equally often" if skew is None else "",
    }
    by_language = {}
    for place, code in enumerate(codes):
        own = [pair for pair in pairs if code in pair]
        own_both = [pair for pair in own if pair in others]
        by_language[code] = LanguageGeometry(
            alignment=_mean(map(pairs.get, own)),
            alignment_ratio=_ratio(_mean(map(pairs.get, own_both)), _mean(map(others.get, own_both))),
            **of_groups[place],
            probe=None if probe is None else probe.recall.get(place),
            pool_share=float(sizes[place]),
            top_share=float(places[:, place].sum()),
        )
    alignment, other_pairs = _mean(pairs.values()), _mean(others.values())
    return Geometry(
        task=data.name,
        model=model,
        transform=transform,
        dimensions=vectors.dimensions,
        n_queries=len(unit),
        n_candidates=len(data.candidates),
        alignment=alignment,
        other_pairs=other_pairs,
        alignment_ratio=_ratio(_mean(map(pairs.get, others)), other_pairs),
        **of_all,
        cosine_within=_mean(within),
        probe=None if probe is None else probe.accuracy,
        probe_chance=None if probe is None else probe.chance,
        k=k,
        hub_skewness=skew,
        hub_largest=float(of_candidate.max()) / len(data.queries),
        orphans=float((of_candidate == 0).mean()),
        own_language=float(np.trace(places)),
        own_language_chance=float(np.bincount(languages, minlength=len(codes)) / len(languages) @ sizes),
        by_language=by_language,
        places={
            query: dict(zip(codes, (row / row.sum()).tolist(), strict=True))
            for query, row in zip(codes, by_pair, strict=True)
            if row.sum()
        },
        reasons={name: reason for name, reason in reasons.items() if reason},
    )


def _distances(
    data: TaskData, unit: FloatArray, nonzero: IntArray
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Mean squared distances of translations, and of queries that are none, for each pair of languages."""
    rows: dict[str, dict[str, int]] = {code: {} for code in data.query_languages}
    for place, query in enumerate(nonzero.tolist()):
        rows[data.queries[query].language][data.queries[query].question] = place
    pairs, others = {}, {}
    for a, b in combinations(data.query_languages, 2):
        questions = [question for question in rows[a] if question in rows[b]]
        if not questions:
            continue
        left, right = (unit[[rows[code][question] for question in questions]] for code in (a, b))
        distances = np.square(left - right).sum(axis=1)
        pairs[a, b] = float(distances.mean())
        other = mean_distance_of_others(unit[list(rows[a].values())], unit[list(rows[b].values())], distances)
        if other is not None:
            others[a, b] = other
    return pairs, others


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are defined."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _of_how_many(some: int, asked: int, what: str) -> str:
    return "" if some in (0, asked) else f"a mean over {some} of {asked} {what}"


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


# Tasks and an encoder -> panels, before and after a transform.


@checked
def geometry_of_tasks(
    encoder: BoundEncoder,
    specs: Sequence[TaskSpec],
    *,
    transform: TransformOptions | None = None,
    select: Selection | None = None,
    allow_zero_vectors: bool = False,
    store: VectorStore | None = None,
    observe: Observer | None = None,
) -> list[list[Geometry]]:
    """Measure the geometry of an encoder's vectors on several tasks.

    Args:
        encoder: as `load_encoder` returns it.
        specs: the tasks.
        transform: also measure the vectors after it.
        select: which part of them; default: all.
        allow_zero_vectors, store: see `embedder_of`.
        observe: hears how far the work is.

    Returns:
        for each task the panel of the vectors as encoded and, with a transform, that of the transformed ones.

    Raises:
        XqrBenchError: whatever is wrong with the data, the encoder or the transform.
    """
    observe = observe or Observer()
    tasks = [(select or Selection()).load(spec, observe) for spec in specs]
    embedder = embedder_of(
        encoder, transform=transform, allow_zero_vectors=allow_zero_vectors, store=store, observe=observe
    )
    embedded = list(embedder.embed(tasks))
    result = []
    with observe.phase("measuring", len(tasks) * (1 if transform is None else 2)):
        for data, vectors in zip(tasks, embedded, strict=True):
            measured: list[tuple[str | None, Embeddings]] = [(None, vectors)]
            if isinstance(vectors, TransformedEmbeddings):
                measured = [(None, vectors.encoded), (vectors.facts.label, vectors)]
            panels = []
            for label, of_task in measured:
                panels.append(
                    measure_geometry(data, of_task, similarity=encoder.similarity, model=encoder.name, transform=label)
                )
                observe.advance(1)
            result.append(panels)
    return result
