"""Small ranks with ties, unequal pools, questions that lack languages, and some relevants that share a language."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import Candidate, Query, Ranks, TaskData
from xqr_bench.rank.exact import exact_ranks

SIZES = {"aa": 12, "bb": 20, "cc": 15, "dd": 31}


def small_data(seed: int = 0, n_questions: int = 9) -> TaskData:
    """Each question is in two to four languages; about one in six has two relevants in a language."""
    generator = np.random.default_rng(seed)
    languages = tuple(SIZES)
    first = {code: sum(list(SIZES.values())[:i]) for i, code in enumerate(languages)}
    has = {
        f"q{i}": sorted(generator.choice(4, size=generator.integers(2, 5), replace=False)) for i in range(n_questions)
    }
    relevants: dict[str, tuple[int, ...]] = {}
    for question, columns in has.items():
        found: list[int] = []
        for column in columns:
            code = languages[column]
            many = 2 if generator.random() < 0.17 else 1
            found += sorted(first[code] + int(i) for i in generator.choice(SIZES[code], size=many, replace=False))
        relevants[question] = tuple(found)
    queries = [
        Query(f"{code}:{question}", code, question, f"{code} {question}")
        for column, code in enumerate(languages)
        for question, columns in has.items()
        if column in columns
    ]
    return TaskData(
        name="small",
        languages=languages,
        queries=tuple(queries),
        candidates=tuple(
            Candidate(f"{code}:0:0:{i}", code, f"{code} {i}") for code in languages for i in range(SIZES[code])
        ),
        relevants=tuple(relevants[query.question] for query in queries),
        clusters=tuple(int(query.question[1:]) // 2 for query in queries),
    )


def small_vectors(data: TaskData, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers in few dimensions: many scores tie."""
    generator = np.random.default_rng(seed + 100)
    made = [generator.integers(-1, 2, size=(len(things), 4)) for things in (data.queries, data.candidates)]
    return made[0].astype(np.float32), made[1].astype(np.float32)


def small_ranks(seed: int = 0) -> Ranks:
    data = small_data(seed)
    return exact_ranks(data, *small_vectors(data, seed), similarity="dot")
