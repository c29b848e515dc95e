"""Baselines -> records: BM25, a floor that knows nothing of the text, a ceiling that knows the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import PARAGRAPH, Ranks, TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.evaluation.pipeline import choose_metrics, make_record
from xqr_bench.rank.exact import ScoreBlock, exact_ranks, ranks_of, ranks_of_scores
from xqr_bench.rank.lexical import NAME, Bm25, Bm25Options
from xqr_bench.rank.product import TILE_ROWS, Vectors
from xqr_bench.rank.variants import Variants, group_relevants
from xqr_bench.record import ModelInfo, Record
from xqr_bench.tasks import TaskSpec, load_task, resolve_task

# Baselines -> records.


def bm25(
    tasks: Sequence[str | Path | TaskSpec],
    *,
    options: Bm25Options | None = None,
    name: str | None = None,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    observe: Observer | None = None,
    arguments: Mapping[str, Any] | None = None,
    on_scores: Callable[[TaskData, Iterable[ScoreBlock]], None] | None = None,
) -> list[Record]:
    """Score BM25 on tasks: every candidate has a score, the ranks are exact and of full depth.

    Args:
        tasks: names, paths or specs.
        options: parameters of BM25.
        name: names the record; default "bm25".
        data_dir, languages, limit, metrics, observe, arguments: as for `evaluate_tasks`.
        on_scores: given each task and its scores (computed a second time), such as to write a run.

    Returns:
        one record per task, in order.

    Raises:
        XqrBenchError: whatever is wrong with the arguments or the data.
    """
    observe = observe or Observer()
    options = options or Bm25Options()
    records = []
    for spec in [choose_metrics(resolve_task(task), metrics) for task in tasks]:
        clock = Clock()
        with clock.phase("loading"), observe.phase("loading", 1):
            data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, observe=observe)
            observe.advance(1)
        with clock.phase("indexing"), observe.phase("indexing", 1):
            scorer = Bm25(data, options)
            observe.advance(1)
        with clock.phase("ranking"):
            ranks = ranks_of_scores(data, scorer.scores(), observe)
        if on_scores is not None:
            with clock.phase("run"):
                on_scores(data, scorer.scores())
        records.append(
            make_record(
                spec,
                data,
                ranks,
                ModelInfo(name=name or NAME, identity=options.identity()),
                clock=clock,
                settings={
                    "data_dir": None if data_dir is None else str(data_dir),
                    "languages": None if languages is None else list(languages),
                    "limit": limit,
                    "metrics": None if metrics is None else list(metrics),
                    **asdict(options),
                },
                arguments=arguments,
            )
        )
    return records


# Floor and ceiling: vectors that know nothing of the text, and a ranking that knows the answers.

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
    columns = data.candidate_columns[data.positions]
    row_queries = np.repeat(np.arange(len(data.queries)), np.diff(data.offsets))
    relevants = np.zeros((len(data.queries), len(data.languages)), dtype=np.int32)
    np.add.at(relevants, (row_queries, columns), 1)
    eq = relevants[row_queries]
    variants = Variants(data)
    seconds = group_relevants(data) if PARAGRAPH in data.relevance else data.relevants
    for start in range(0, len(data.queries), TILE_ROWS):
        block = slice(start, start + TILE_ROWS)
        scores = np.zeros((len(data.queries[block]), len(data.candidates)), dtype=np.float32)
        for row, (first, second) in enumerate(zip(data.relevants[block], seconds[block], strict=True)):
            scores[row, list(second)] = 1
            scores[row, list(first)] = 2
        variants.count_block(start, scores, scores)
    return variants.attach(ranks_of(data, np.zeros_like(eq), eq))


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
    observe: Observer | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> list[Record]:
    """Score ranks made from the task alone.

    Args:
        tasks: names, paths or specs.
        identity: of what ranks.
        rank: task -> ranks.
        warning: says in the record what it is.
        name: names the record; default: the identity's name.
        data_dir, languages, limit, metrics, observe, arguments: as for `evaluate_tasks`.

    Returns:
        one record per task, in order.
    """
    observe = observe or Observer()
    records = []
    for spec in [choose_metrics(resolve_task(task), metrics) for task in tasks]:
        clock = Clock()
        with clock.phase("loading"), observe.phase("loading", 1):
            data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, observe=observe)
            observe.advance(1)
        with clock.phase("ranking"), observe.phase("ranking", 1):
            ranks = rank(data)
            observe.advance(1)
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


# A baseline by its identity: what a record says, run once more.


def again(identity: ModelIdentity, task: TaskSpec, **arguments: Any) -> Record:
    """Run the baseline of a record on a task; arguments as for `bm25`.

    Raises:
        UnknownNameError: there is no such baseline.
        RecordError: its parameters are not numbers.
    """
    given = identity.model_kwargs
    if not all(type(value) in (int, float) for value in given.values()):
        raise RecordError("the parameters of the record's baseline are not numbers", found=str(given)[:80])
    if identity.name == NAME:
        options = Bm25Options(**{name: float(given[name]) for name in ("k1", "b") if name in given})
        return bm25([task], options=options, **arguments)[0]
    if identity.name == "random":
        return random_records([task], seed=int(given.get("seed", 0)), **arguments)[0]
    if identity.name == "oracle":
        return oracle_records([task], **arguments)[0]
    raise UnknownNameError("baseline", identity.name, [NAME, "random", "oracle"])
