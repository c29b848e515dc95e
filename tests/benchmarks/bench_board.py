"""A board of many submissions: their weight, `leaderboard verify`, and what is left out read back.

Synthetic submissions are made from real records by the code of the project: the ranks of whole questions change places
among questions with the same numbers of relevants and leaving sentences in every language, so that each submission is
consistent, has figures and digests of its own, and weighs what a real one does.

    python -m tests.benchmarks.bench_board FOLDER -n 100 --of leaderboard/multilingual*/*/mlqa-r.json [--make-only]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from xqr_bench.board.files import publishable, record_place
from xqr_bench.board.submissions import verify
from xqr_bench.core.types import PARAGRAPH, IntArray, Ranks
from xqr_bench.record import Result, load_record, ranks_digest, recompute, save_record, shortened
from xqr_bench.record.model import ModelInfo, RanksInfo
from xqr_bench.record.relevance_files import relevance_digest


def moved(ranks: Ranks, source: IntArray) -> Ranks:
    """Each query has the counts of the query `source[q]`, which has as many relevants in the same languages."""
    first = ranks.offsets[:-1]
    rows = np.repeat(first[source] - first, np.diff(ranks.offsets)) + np.arange(ranks.n_relevants)
    assert (ranks.relevant_columns[rows] == ranks.relevant_columns).all()
    changed = {name: getattr(ranks, name)[rows] for name in ("gt", "eq", "own_gt", "own_eq")}
    return replace(ranks, **changed, top=None if ranks.top is None else ranks.top[source])


def exchange(base: Result, seed: int) -> IntArray:
    """For each query another one of its language that can lend it its counts under every rule; one permutation of the
    questions, in all languages."""
    ranks, n_columns = base.ranks, len(base.ranks.columns)
    marks: list[list[object]] = [[] for _ in ranks.query_ids]
    chosen = {name: base.ranks_under(name) for name, info in base.relevance.items() if info.ranks_file}
    for variant in (ranks, *chosen.values()):
        place = {query: index for index, query in enumerate(ranks.query_ids)}
        counts = np.zeros((variant.n_queries, n_columns), dtype=np.int64)
        np.add.at(counts, (variant.row_queries, variant.relevant_columns), 1)
        for query, of_query in zip(variant.query_ids, counts.tolist(), strict=True):
            marks[place[query]].append(tuple(of_query))
        if variant.removed is not None:
            for query, of_query in zip(variant.query_ids, variant.removed.tolist(), strict=True):
                marks[place[query]].append(tuple(of_query))
    of_question: dict[str, dict[str, int]] = defaultdict(dict)
    for index, (question, language) in enumerate(zip(ranks.question_ids, ranks.query_languages, strict=True)):
        of_question[question][language] = index
    alike = defaultdict(list)
    for question, queries in of_question.items():
        alike[tuple((language, tuple(marks[index])) for language, index in sorted(queries.items()))].append(question)
    generator = np.random.default_rng(seed)
    source = np.arange(ranks.n_queries)
    for questions in alike.values():
        for question, other in zip(questions, generator.permutation(questions).tolist(), strict=True):
            for language, index in of_question[question].items():
                source[index] = of_question[other][language]
    return source


def synthetic(base: Result, seed: int) -> Result:
    """A submission like another one, under a name of its own; its figures follow from its ranks."""
    source = exchange(base, seed)
    ranks, relevance, variants = moved(base.ranks, source), dict(base.relevance), {}
    place = {query: index for index, query in enumerate(ranks.query_ids)}
    for name, info in base.relevance.items():
        if info.ranks_file is None:
            continue
        variant = base.ranks_under(name)
        of_variant = {query: index for index, query in enumerate(variant.query_ids)}
        within = [of_variant[ranks.query_ids[source[place[query]]]] for query in variant.query_ids]
        made = moved(variant, np.array(within))
        strict = ranks if name != PARAGRAPH or info.questions is None else ranks.of_questions(set(variant.question_ids))
        variants[name] = made
        file = RanksInfo.of(made, relevance_digest(name, strict, made))
        relevance[name] = info.model_copy(update={"ranks_file": file})
    identity = base.model.identity.model_copy(update={"name": f"lab/model-{seed}", "digest": f"{seed:064x}"})
    changed = {
        "model": ModelInfo(name=f"lab/model-{seed:04}", identity=identity.model_copy(update={"revision": None})),
        "ranks": replace(ranks, variants=variants),
        "ranks_file": RanksInfo.of(ranks, ranks_digest(ranks)),
        "relevance": relevance,
        "place": None,
    }
    return recompute(base.model_copy(update=changed))[0]


def make_board(folder: Path, n: int, bases: Sequence[Path]) -> None:
    """Write n submissions like these records, in turn."""
    shorts = [publishable(shortened(load_record(path, ranks=True))) for path in bases]
    for seed in range(n):
        record = synthetic(shorts[seed % len(shorts)], seed)
        save_record(record, folder / record_place(record))


def main() -> None:
    """Make a board and verify it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--of", type=Path, nargs="+", required=True)
    parser.add_argument("--make-only", action="store_true")
    asked = parser.parse_args()
    start = time.process_time()
    if not asked.folder.exists():
        make_board(asked.folder, asked.n, asked.of)
        print(f"made in {time.process_time() - start:.0f} s of CPU")
    weight = sum(path.stat().st_size for path in asked.folder.rglob("*") if path.is_file())
    print(f"{asked.n} submissions: {weight / 1e6:.1f} MB, {weight / asked.n / 1e6:.3f} MB each")
    if asked.make_only:
        return
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time()
    found = verify(asked.folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - own + after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"verified {found.checked}, {len(found.faults)} faults: {time.perf_counter() - start:.0f} s, {cpu:.0f} s of CPU"
    )
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak: {own_peak / 1024:.0f} MB here, {after.ru_maxrss / 1024:.0f} MB in the largest process beside it")
    for fault in found.faults[:5]:
        print(fault)


if __name__ == "__main__":
    main()
