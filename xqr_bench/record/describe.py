"""What a record says of its task, its vectors and the languages they represent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import Ranks, TaskData
from xqr_bench.encode import BoundEncoder, Embeddings, in_context
from xqr_bench.measure.certainty import score_variant, variant_metrics
from xqr_bench.measure.scores import Group
from xqr_bench.record.model import (
    LanguageCounts,
    LanguageDiagnostics,
    RanksInfo,
    Record,
    RelevanceInfo,
    TaskInfo,
    TextDiagnostics,
)
from xqr_bench.record.rank_files import relevance_digest
from xqr_bench.tasks import TaskSpec

# Which languages an encoder can represent at all: whether their texts get vectors of their own.

LEAST_DISTINCT = 0.95
"""A language with a smaller share of distinct query vectors is flagged."""
SAME = 1e-3
"""Vectors whose distance is at most this share of their length are one: float16 or another batch moves them so far."""
_PROJECTED = 8
_AT_ONCE = 2048

Vectors = NDArray[np.float32]


def text_diagnostics(
    texts: Sequence[str], given: Sequence[str], vectors: Vectors, encoder: BoundEncoder, *, similarity: str
) -> TextDiagnostics:
    """Count distinct texts, vectors and tokens of one language and role.

    Args:
        texts: of the task.
        given: what the encoder was given for them: the same, or each with its paragraph.
        vectors: float32 `[texts, d]`.
        encoder: tells tokens, where it knows them.
        similarity: with cosine, vectors of one direction are the same vector.
    """
    first = list({text: row for row, text in reversed(list(enumerate(given)))}.values())
    sizes = vector_groups(vectors[first], unit=similarity == "cosine")
    sentences = list(dict.fromkeys(texts))
    tokens = unknown = 0
    known = True
    for start in range(0, len(sentences), _AT_ONCE):
        counted = encoder.tokens(sentences[start : start + _AT_ONCE])
        if counted is None:
            known = False
            break
        tokens += int(counted[0].sum())
        unknown += int(counted[1].sum())
    return TextDiagnostics(
        texts=len(first),
        vectors=len(sizes),
        sharing=int(sizes[sizes > 1].sum()),
        characters=sum(map(len, sentences)),
        tokens=tokens if known else None,
        unknown_tokens=unknown if known else None,
    )


def vector_groups(vectors: Vectors, *, unit: bool) -> NDArray[np.int64]:
    """How many rows each distinct vector has, int64 `[distinct]`.

    Two rows are one vector when their distance is at most SAME times their length (cosine: after scaling to length 1;
    else: times the root mean square length of all rows), and so are rows connected by such pairs.

    Args:
        vectors: float32 `[n, d]`.
        unit: scale rows to length 1 first; zero rows stay zero.
    """
    if not len(vectors):
        return np.zeros(0, dtype=np.int64)
    distinct, counts = np.unique(vectors + np.float32(0), axis=0, return_counts=True)
    wide = distinct.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    if unit:
        wide /= np.where(lengths == 0.0, 1.0, lengths)[:, None]
    elif lengths.any():
        wide /= np.sqrt(np.average(np.square(lengths), weights=counts))
    return np.bincount(_connected(wide), weights=counts).astype(np.int64)


def _connected(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """The group of each row: rows at most SAME apart are in one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    n, d = rows.shape
    # an orthogonal projection brings rows nearer, never further apart: near pairs are among the near ones in it
    axes = np.linalg.qr(np.random.Generator(np.random.PCG64(0)).standard_normal((d, min(d, _PROJECTED))))[0]
    pairs = cKDTree(rows @ axes).query_pairs(SAME, output_type="ndarray")
    near = [pair for pair in pairs if np.linalg.norm(rows[pair[0]] - rows[pair[1]]) <= SAME]
    left, right = np.array(near, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return groups


def distinct_query_share(found: LanguageDiagnostics) -> float | None:
    """Distinct vectors over distinct texts of a language's queries; None where that is not known."""
    return None if found.queries is None else found.queries.distinct_share


def unrepresented_languages(record: Record) -> tuple[str, ...]:
    """The languages that are flagged: less than 95% distinct query vectors. Empty where nothing is known."""
    shares = {code: distinct_query_share(found) for code, found in record.diagnostics.items()}
    return tuple(code for code in record.task.languages if (share := shares.get(code)) is not None and _low(share))


def represented_languages(record: Record) -> tuple[str, ...]:
    """The languages of the record whose queries have distinct vectors, at least 95% of them.

    A language without queries is among them: nothing speaks against it.

    Raises:
        RecordError: the record does not tell, as older ones and those of runs and baselines do not.
    """
    if not any(found.queries is not None for found in record.diagnostics.values()):
        raise RecordError(
            f"the record of {record.model.name} on {record.task.name} does not tell how many vectors are distinct",
            found="an older record, or one without vectors",
            remedy="evaluate the encoder again",
        )
    flagged = unrepresented_languages(record)
    return tuple(code for code in record.task.languages if code not in flagged)


def representation_warnings(diagnostics: dict[str, LanguageDiagnostics]) -> list[str]:
    """A warning that names the flagged languages, if there are any."""
    flagged = [
        f"{code} {found.queries.vectors:,} vectors for {found.queries.texts:,} texts ({share:.0%})"
        for code, found in diagnostics.items()
        if found.queries is not None and (share := found.queries.distinct_share) is not None and _low(share)
    ]
    if not flagged:
        return []
    return [
        f"the encoder does not tell the queries of some languages apart: {', '.join(flagged)}; their scores say little "
        "about its quality"
    ]


def _low(share: float) -> bool:
    return share < LEAST_DISTINCT


# Task data and embeddings -> the parts of a record that describe them.


def task_info(spec: TaskSpec, data: TaskData) -> TaskInfo:
    """The task as it is scored."""
    groups = {
        name: Group(languages=found.members, missing=found.absent, undefined_reason=found.reason)
        for name, found in spec.group_members(data.languages).items()
    }
    counts = {
        code: LanguageCounts(
            queries=sum(query.language == code for query in data.queries), candidates=int(data.column_sizes[column])
        )
        for column, code in enumerate(data.languages)
    }
    return TaskInfo(
        name=spec.name,
        title=spec.title,
        languages=list(data.languages),
        settings=list(spec.settings),
        metrics=list(spec.metrics),
        groups=groups,
        counts=counts,
        n_questions=len({query.question for query in data.queries}),
        n_articles=len(set(data.clusters)),
        demonstration=spec.demonstration,
        partial=dict(data.partial),
        files=dict(data.files),
        revision=spec.revision or None,
    )


def language_diagnostics(data: TaskData, vectors: Embeddings, encoder: BoundEncoder) -> dict[str, LanguageDiagnostics]:
    """What happened to the texts of each language.

    Args:
        data: the task.
        vectors: as the encoder made them.
        encoder: what made them.
    """
    result = {}
    queries = [(query.language, query.text, query.text) for query in data.queries]
    given = in_context(data, encoder.identity.candidate_context).candidates
    candidates = [(found.language, found.text, put.text) for found, put in zip(data.candidates, given, strict=True)]

    def told(items: list[tuple[str, str, str]], rows: Vectors, code: str) -> TextDiagnostics:
        here = [row for row, item in enumerate(items) if item[0] == code]
        texts, given = [items[row][1] for row in here], [items[row][2] for row in here]
        return text_diagnostics(texts, given, rows[here], encoder, similarity=encoder.similarity)

    for code in data.languages:
        cut = (vectors.truncated or {}).get(code)
        result[code] = LanguageDiagnostics(
            truncated_queries=None if cut is None else cut["queries"],
            truncated_candidates=None if cut is None else cut["candidates"],
            zero_queries=vectors.zero_queries.get(code, 0),
            zero_candidates=vectors.zero_candidates.get(code, 0),
            queries=told(queries, vectors.queries, code),
            candidates=told(candidates, vectors.candidates, code),
        )
    return result


def truncation_warnings(vectors: Embeddings) -> list[str]:
    """A warning that names the languages whose texts were cut off, if any were."""
    cut = {code: found["queries"] + found["candidates"] for code, found in (vectors.truncated or {}).items()}
    if not any(cut.values()):
        return []
    listing = ", ".join(f"{code} {number}" for code, number in cut.items() if number)
    return [f"texts longer than the encoder's length limit were cut off: {listing}"]


NOT_COUNTED = "the ranks were not counted under it"


def too_shallow(variant: Ranks, metrics: Sequence[str]) -> str | None:
    """Why a ranking is cut too high for the metrics once the sentences that repeat an answer have left it, or None."""
    if variant.depth is None or variant.removed is None:
        return None
    most = int(variant.removed.sum(axis=1).max(initial=0))
    cutoff = max((int(name.partition("@")[2] or 0) for name in metrics), default=0)
    if variant.depth - most >= cutoff:
        return None
    return f"the ranking is cut at {variant.depth:,}; up to {most} sentences leave it, and {cutoff} have to be left"


def relevance_info(name: str, ranks: Ranks, info: TaskInfo) -> RelevanceInfo:
    """The scores under a rule of relevance that the task declares, from the ranks counted under it.

    Args:
        name: the rule.
        ranks: the strict ranks, with the others.
        info: the task as it is scored.
    """
    variant = ranks.variants.get(name)
    reason = NOT_COUNTED if variant is None else too_shallow(variant, variant_metrics(name, info.metrics))
    if variant is None or reason is not None:
        return RelevanceInfo(undefined_reason=reason)
    return RelevanceInfo(
        scores=score_variant(name, variant, info.metrics, info.settings, info.groups),
        ranks_file=RanksInfo(
            file=None,
            digest=relevance_digest(name, ranks, variant),
            n_queries=variant.n_queries,
            n_relevants=variant.n_relevants,
            depth=variant.depth,
        ),
    )
