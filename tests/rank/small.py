"""A small task, and runs of it written by hand."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, Candidate, Query, TaskData
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.tasks import SourceFile, TaskSpec

LANGUAGES = ("de", "en", "th")


def task(n: int = 4, per_language: int = 6) -> TaskData:
    """n parallel questions in three languages, question i answered by sentence i; question 1 is not in Thai."""
    asked = [(code, i) for code in LANGUAGES for i in range(n) if (code, i) != ("th", 1)]
    candidates = [
        Candidate(f"{code}:0:0:{i}", code, f"sentence {i} in {code}", f"{code}:0:0")
        for code in LANGUAGES
        for i in range(per_language)
    ]
    column = {code: number for number, code in enumerate(LANGUAGES)}
    relevants = {i: [column[code] * per_language + i for code, j in asked if j == i] for i in range(n)}
    return TaskData(
        name="small",
        languages=LANGUAGES,
        queries=tuple(Query(f"{code}:q{i}", code, f"q{i}", f"question {i} in {code}") for code, i in asked),
        candidates=tuple(candidates),
        relevants=tuple(tuple(relevants[i]) for _, i in asked),
        clusters=tuple(i for _, i in asked),
    )


def spec(**more: object) -> TaskSpec:
    files = {code: SourceFile(path=f"{code}.json") for code in LANGUAGES}
    return TaskSpec(name="small", languages=LANGUAGES, files=files, groups=(), **more)


def scores(data: TaskData, *, levels: int | None = None, seed: int = 0) -> np.ndarray:
    """Random scores, float32 [queries, candidates]; of few levels, so that many tie, where asked."""
    generator = np.random.default_rng(seed)
    shape = (len(data.queries), len(data.candidates))
    if levels is not None:
        return generator.integers(0, levels, shape).astype(np.float32)
    return generator.normal(size=shape).astype(np.float32)


def blocks(values: np.ndarray, rows: int = 5) -> Iterator[ScoreBlock]:
    for start in range(0, len(values), rows):
        part = values[start : start + rows]
        yield ScoreBlock(start, part, part)


def line(query: str, document: str, score: object = 1.0) -> str:
    return f"{query} Q0 {document} 1 {score} tag\n"


def whole(data: TaskData, values: np.ndarray, queries: Iterable[int] | None = None) -> list[str]:
    """Lines of the multilingual lists at full depth."""
    rows = range(len(data.queries)) if queries is None else queries
    return [
        line(data.queries[q].id, candidate.id, f"{values[q, c]:.9g}")
        for q in rows
        for c, candidate in enumerate(data.candidates)
    ]


def write_run(folder: Path, text: str | bytes, setting: str = MULTILINGUAL, *, packed: bool = False) -> Path:
    path = folder / "small" / f"{setting}.run{'.gz' if packed else ''}"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if packed else content)
    return path
