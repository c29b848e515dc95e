"""Floor and ceiling: vectors that know nothing of the text, and a ranking that knows the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.data import Progress as DataProgress
from xqr_bench.data import TaskSpec, load_task, resolve_task
from xqr_bench.encode import ModelIdentity
from xqr_bench.errors import UsageError
from xqr_bench.pipeline import choose_metrics, make_record
from xqr_bench.progress import Clock, Progress, Quiet, told
from xqr_bench.record import ModelInfo, Record
from xqr_bench.search import exact_ranks
from xqr_bench.search.exact import ranks_of, relevant_rows
from xqr_bench.search.product import TILE_ROWS, Vectors
from xqr_bench.search.variants import Variants, paragraph_relevants
from xqr_bench.types import PARAGRAPH, Ranks, TaskData

DIMENSIONS = 64
RANDOM_WARNING = "random vectors: the floor, no encoder"
ORACLE_WARNING = "every relevant candidate on top, tied: the ceiling, no encoder"


def random_identity(seed: int) -> ModelIdentity:
    """What the random ranking depends on.

    Raises:
        UsageError: a negative seed.
    """
    if seed < 0:
        raise UsageError(f"--seed cannot be {seed}", remedy="use a whole number from 0 on")
    return ModelIdentity(
        kind="baseline",
        name="random",
        revision=f"seed-{seed}",
        similarity="none",
        model_kwargs={"seed": seed, "vector_dimensions": DIMENSIONS},
    )


def oracle_identity() -> ModelIdentity:
    """What the oracle depends on: nothing."""
    return ModelIdentity(kind="baseline", name="oracle", revision="1", similarity="none")


def random_ranks(data: TaskData, seed: int = 0) -> Ranks:
    """Ranks of vectors drawn from a hash of seed and text: the same on every machine, equal for equal texts."""
    queries = _random_vectors([query.text for query in data.queries], seed, "query")
    candidates = _random_vectors([candidate.text for candidate in data.candidates], seed, "candidate")
    return exact_ranks(data, queries, candidates)


def _random_vectors(texts: Sequence[str], seed: int, role: str) -> Vectors:
    """Components uniform in -1 .. 1, float32 `[texts, DIMENSIONS]`."""
    prefix = f"xqr-bench random {seed} {role}\n".encode()
    drawn = b"".join(hashlib.shake_256(prefix + text.encode()).digest(2 * DIMENSIONS) for text in texts)
    numbers = np.frombuffer(drawn, dtype="<u2").reshape(len(texts), DIMENSIONS)
    return ((numbers + np.float32(0.5)) / np.float32(2**15) - 1).astype(np.float32)


def oracle_ranks(data: TaskData) -> Ranks:
    """The relevants of each query tie on top: the greatest scores possible, and no preference of a language.

    Where sentences of their paragraphs count too, these come next, tied: the ceiling under every rule of relevance.
    """
    offsets, positions = relevant_rows(data)
    columns = np.repeat(np.arange(len(data.languages)), data.column_sizes)[positions]
    row_queries = np.repeat(np.arange(len(data.queries)), np.diff(offsets))
    relevants = np.zeros((len(data.queries), len(data.languages)), dtype=np.int32)
    np.add.at(relevants, (row_queries, columns), 1)
    eq = relevants[row_queries]
    variants = Variants(data)
    seconds = paragraph_relevants(data) if PARAGRAPH in data.relevance else data.relevants
    for start in range(0, len(data.queries), TILE_ROWS):
        block = slice(start, start + TILE_ROWS)
        scores = np.zeros((len(data.queries[block]), len(data.candidates)), dtype=np.float32)
        for row, (first, second) in enumerate(zip(data.relevants[block], seconds[block], strict=True)):
            scores[row, list(second)] = 1
            scores[row, list(first)] = 2
        variants.count_block(start, scores, scores)
    return variants.attach(ranks_of(data, offsets, positions, np.zeros_like(eq), eq))


def random_records(tasks: Sequence[str | Path | TaskSpec], *, seed: int = 0, **arguments: Any) -> list[Record]:
    """Score random vectors on tasks; arguments as for `bound_records`."""
    return bound_records(
        tasks, random_identity(seed), lambda data: random_ranks(data, seed), RANDOM_WARNING, **arguments
    )


def oracle_records(tasks: Sequence[str | Path | TaskSpec], **arguments: Any) -> list[Record]:
    """Score the oracle on tasks; arguments as for `bound_records`."""
    return bound_records(tasks, oracle_identity(), oracle_ranks, ORACLE_WARNING, **arguments)


def bound_records(
    tasks: Sequence[str | Path | TaskSpec],
    identity: ModelIdentity,
    rank: Callable[[TaskData], Ranks],
    warning: str,
    *,
    name: str | None = None,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    progress: Progress | None = None,
    data_progress: DataProgress | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> list[Record]:
    """Score ranks made from the task alone.

    Args:
        tasks: names, paths or specs.
        identity: of what ranks.
        rank: task -> ranks.
        warning: says in the record what it is.
        name: names the record; default: the identity's name.
        data_dir, languages, limit, metrics, progress, data_progress, arguments: as for `evaluate_tasks`.

    Returns:
        one record per task, in order.
    """
    progress = progress or Quiet()
    records = []
    for spec in [choose_metrics(resolve_task(task), metrics) for task in tasks]:
        clock = Clock()
        with clock.phase("loading"), told(progress, "loading", 1):
            data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, progress=data_progress)
            progress.advance(1)
        with clock.phase("ranking"), told(progress, "ranking", 1):
            ranks = rank(data)
            progress.advance(1)
        settings = {
            "data_dir": None if data_dir is None else str(data_dir),
            "languages": None if languages is None else list(languages),
            "limit": limit,
            "metrics": None if metrics is None else list(metrics),
            **identity.model_kwargs,
        }
        model = ModelInfo(name=name or identity.name, identity=identity)
        records.append(
            make_record(
                spec, data, ranks, model, clock=clock, settings=settings, arguments=arguments, warnings=[warning]
            )
        )
    return records
