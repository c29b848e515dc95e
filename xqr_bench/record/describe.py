"""Task data and embeddings -> the parts of a record that describe them."""

from __future__ import annotations

from xqr_bench.data import TaskSpec
from xqr_bench.encode import Embeddings
from xqr_bench.record.model import LanguageCounts, LanguageDiagnostics, TaskInfo
from xqr_bench.scores import Group
from xqr_bench.types import TaskData


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


def language_diagnostics(data: TaskData, vectors: Embeddings) -> dict[str, LanguageDiagnostics]:
    """What happened to the texts of each language."""
    result = {}
    for code in data.languages:
        cut = (vectors.truncated or {}).get(code)
        result[code] = LanguageDiagnostics(
            truncated_queries=None if cut is None else cut["queries"],
            truncated_candidates=None if cut is None else cut["candidates"],
            zero_queries=vectors.zero_queries.get(code, 0),
            zero_candidates=vectors.zero_candidates.get(code, 0),
        )
    return result


def truncation_warnings(vectors: Embeddings) -> list[str]:
    """A warning that names the languages whose texts were cut off, if any were."""
    cut = {code: found["queries"] + found["candidates"] for code, found in (vectors.truncated or {}).items()}
    if not any(cut.values()):
        return []
    listing = ", ".join(f"{code} {number}" for code, number in cut.items() if number)
    return [f"texts longer than the encoder's length limit were cut off: {listing}"]
