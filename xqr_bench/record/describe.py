"""Task data and embeddings -> the parts of a record that describe them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xqr_bench.data import TaskSpec
from xqr_bench.encode import BoundEncoder, Embeddings, in_context
from xqr_bench.record.model import (
    LanguageCounts,
    LanguageDiagnostics,
    RanksInfo,
    RelevanceInfo,
    TaskInfo,
    TextDiagnostics,
)
from xqr_bench.record.relevance_file import relevance_digest
from xqr_bench.record.represented import text_diagnostics
from xqr_bench.relevance import score_variant, variant_metrics
from xqr_bench.scores import Group
from xqr_bench.types import Ranks, TaskData

Vectors = NDArray[np.float32]


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
        n_articles=len(set(data.articles)),
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
