"""The panel: every measure of the geometry of one task's vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from xqr_bench.encode import Embeddings
from xqr_bench.geometry.hubs import Occurrences, count_occurrences, skewness
from xqr_bench.geometry.probe import language_probe
from xqr_bench.geometry.spread import (
    isoscore,
    mean_cosine,
    mean_cosine_between,
    mean_distance_of_others,
    squared_distances,
    uniformity,
)
from xqr_bench.search.hits import vector_scores
from xqr_bench.types import FloatArray, IntArray, TaskData

K = 10


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LanguageGeometry(_Part):
    """One language; absent: not defined."""

    alignment: float | None = Field(default=None, description="mean over the pairs of languages it is one of")
    alignment_ratio: float | None = Field(default=None, description="the same over that of texts that are no pair")
    uniformity: float | None = None
    mean_cosine: float | None = Field(default=None, description="of two of its queries")
    isoscore: float | None = None
    probe: float | None = Field(default=None, description="share of its held-out queries whose language is named")
    pool_share: float = Field(description="its candidates over all candidates")
    top_share: float = Field(description="its share of the first k places, over all queries")


class Geometry(_Part):
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
    codes = list(data.languages)
    number = {code: place for place, code in enumerate(codes)}
    languages = np.array([number[query.language] for query in data.queries], dtype=np.int64)
    with threadpool_limits(1, user_api="blas"):  # the same figures with any number of threads
        unit, kept = _directions(vectors)
        groups = [unit[languages[kept] == place] for place in range(len(codes))]
        reasons: dict[str, str] = {}
        aligned = _Aligned(data, unit, kept)
        spread = {
            "uniformity": uniformity(unit),
            "isoscore": isoscore(unit),
            "cosine_between": mean_cosine_between(groups),
        }
        within = [mean_cosine(group) for group in groups]
        articles = np.array(data.articles, dtype=np.int64)
        probe = language_probe(unit, languages[kept], articles[kept])
        found = _occurrences(data, vectors, similarity, languages)
    sizes = data.column_sizes / len(data.candidates)
    places = found.by_language / found.by_language.sum()
    if aligned.mean is None:
        reasons["alignment"] = "no question is there in two languages"
    if probe is None:
        reasons["probe"] = "needs two languages, and two groups of articles that both have every language"
    skew = skewness(found.of_candidate)
    if skew is None:
        reasons["hub_skewness"] = "every candidate is among the first k equally often"
    defined = [value for value in within if value is not None]
    by_language = {
        code: LanguageGeometry(
            alignment=aligned.of(code, aligned.distances),
            alignment_ratio=_ratio(aligned.of(code, aligned.distances), aligned.of(code, aligned.others)),
            uniformity=uniformity(groups[place]),
            mean_cosine=within[place],
            isoscore=isoscore(groups[place]) if len(groups[place]) else None,
            probe=None if probe is None else probe.recall.get(place),
            pool_share=float(sizes[place]),
            top_share=float(places[:, place].sum()),
        )
        for place, code in enumerate(codes)
    }
    own = np.bincount(languages, minlength=len(codes)) / len(languages)
    return Geometry(
        task=data.name,
        model=model,
        transform=transform,
        dimensions=vectors.dimensions,
        n_queries=len(unit),
        n_candidates=len(data.candidates),
        alignment=aligned.mean,
        other_pairs=aligned.mean_others,
        alignment_ratio=_ratio(aligned.mean, aligned.mean_others),
        **spread,
        cosine_within=float(np.mean(defined)) if defined else None,
        probe=None if probe is None else probe.accuracy,
        probe_chance=None if probe is None else probe.chance,
        k=found.k,
        hub_skewness=skew,
        hub_largest=float(found.of_candidate.max()) / len(data.queries),
        orphans=float((found.of_candidate == 0).mean()),
        own_language=float(np.trace(places)),
        own_language_chance=float(own @ sizes),
        by_language=by_language,
        places={
            query: {code: float(share) for code, share in zip(codes, row / row.sum(), strict=True)}
            for query, row in zip(codes, found.by_language, strict=True)
            if row.sum()
        },
        reasons=reasons,
    )


class _Aligned:
    """Mean squared distances of translations, and of queries that are none, for each pair of languages."""

    def __init__(self, data: TaskData, unit: FloatArray, kept: IntArray) -> None:
        rows: dict[str, dict[str, int]] = {code: {} for code in data.languages}
        for place, query in enumerate(kept.tolist()):
            rows[data.queries[query].language][data.queries[query].question] = place
        self.distances: dict[tuple[str, str], float] = {}
        self.others: dict[tuple[str, str], float] = {}
        for a, b in combinations(data.languages, 2):
            shared = [question for question in rows[a] if question in rows[b]]
            if not shared:
                continue
            left, right = (unit[[rows[code][question] for question in shared]] for code in (a, b))
            found = squared_distances(left, right)
            self.distances[a, b] = float(found.mean())
            other = mean_distance_of_others(unit[list(rows[a].values())], unit[list(rows[b].values())], found)
            if other is not None:
                self.others[a, b] = other

    @property
    def mean(self) -> float | None:
        return _mean(list(self.distances.values()))

    @property
    def mean_others(self) -> float | None:
        return _mean(list(self.others.values()))

    def of(self, code: str, values: dict[tuple[str, str], float]) -> float | None:
        """Mean over the pairs with this language."""
        return _mean([value for pair, value in values.items() if code in pair])


def _directions(vectors: Embeddings) -> tuple[FloatArray, IntArray]:
    """The queries as vectors of length 1, float64 `[n, d]`, and which queries they are; zero ones are left out."""
    wide = vectors.queries.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    kept = np.flatnonzero(lengths)
    return wide[kept] / lengths[kept, None], kept


def _occurrences(data: TaskData, vectors: Embeddings, similarity: str, languages: IntArray) -> Occurrences:
    columns = np.repeat(np.arange(len(data.languages)), data.column_sizes)
    blocks = vector_scores(vectors.queries, vectors.candidates, similarity=similarity)
    return count_occurrences(blocks, languages, columns, K)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference
