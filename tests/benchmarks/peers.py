"""The same figures from others: MAP of settings of XQuAD-R from the same vectors, one function a tool.

Each function takes the `Case` and returns the mean AP of each (query language, candidate language) and, last, of each
query language over the whole pool: float64 `[languages, languages + 1]`, NaN where it was not asked for.
The tools are used as their documentation shows; vectors are of unit length already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core.types import Candidate, Query, TaskData

BLOCK = 64


@dataclass(frozen=True)
class Case:
    """What is ranked.

    Attributes:
        queries, candidates: float32 `[n, d]` of unit length.
        languages: codes; queries and candidates stand grouped by language.
        query_columns: language of each query, int64 `[queries]`.
        edges: where each language begins among the candidates, int64 `[languages + 1]`.
        relevants: relevant candidate of each query in each language, int64 `[queries, languages]`.
        ids: of the candidates.
        rows: the queries asked for, ascending; all, or a part of them.
    """

    queries: np.ndarray
    candidates: np.ndarray
    languages: list[str]
    query_columns: np.ndarray
    edges: np.ndarray
    relevants: np.ndarray
    ids: list[str]
    rows: np.ndarray

    @staticmethod
    def load(path: Path, *, every: int = 1, only: int | None = None) -> Case:
        """Read what `bench_peers` wrote.

        Args:
            path: the file.
            every: take one question in so many.
            only: queries of the first so many languages.
        """
        found = np.load(path)
        columns, numbers = found["query_columns"], found["numbers"]
        chosen = numbers % every == 0
        if only is not None:
            chosen &= columns < only
        return Case(
            found["queries"],
            found["candidates"],
            found["languages"].tolist(),
            columns,
            found["edges"],
            found["relevants"],
            found["ids"].tolist(),
            np.flatnonzero(chosen),
        )

    def pools(self) -> list[tuple[int, slice]]:
        """(column of the result, candidates) of each pool: the languages, then all."""
        pairs = zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True)
        return [*((m, slice(low, high)) for m, (low, high) in enumerate(pairs)), (len(self.languages), slice(None))]

    def relevant_in(self, pool: int) -> np.ndarray:
        """Relevants in a pool, of all queries, `[queries, 1]` or `[queries, languages]`."""
        return self.relevants if pool == len(self.languages) else self.relevants[:, pool : pool + 1]

    def means(self, ap: np.ndarray) -> np.ndarray:
        """Mean over the rows of each query language of `ap`, `[rows, languages + 1]`."""
        result = np.full((len(self.languages), ap.shape[1]), np.nan)
        for m in range(len(self.languages)):
            mine = self.query_columns[self.rows] == m
            if mine.any():
                result[m] = ap[mine].mean(axis=0)
        return result


def product(case: Case) -> None:
    """The bare matrix product, a block of queries at a time."""
    out = np.empty((1024, len(case.candidates)), dtype=np.float32)
    for start in range(0, len(case.rows), 1024):
        block = case.queries[case.rows[start : start + 1024]]
        np.matmul(block, case.candidates.T, out=out[: len(block)])


def _average_precision(ranks: np.ndarray) -> np.ndarray:
    """AP of ranks without ties, `[rows, relevants]` -> `[rows]`."""
    return (np.arange(1, ranks.shape[1] + 1) / np.sort(ranks, axis=1)).mean(axis=1)


def faiss_flat(case: Case) -> np.ndarray:
    """An exact index for each language and for all; every candidate retrieved; ranks looked up in the lists."""
    import faiss

    ap = np.empty((len(case.rows), len(case.languages) + 1))
    for pool, columns in case.pools():
        index = faiss.IndexFlatIP(case.candidates.shape[1])
        index.add(case.candidates[columns])
        first = columns.start or 0
        for start in range(0, len(case.rows), 1024):
            rows = case.rows[start : start + 1024]
            _, order = index.search(case.queries[rows], index.ntotal)
            place = np.empty_like(order)
            np.put_along_axis(place, order, np.arange(index.ntotal)[None, :], axis=1)
            ranks = np.take_along_axis(place, case.relevant_in(pool)[rows] - first, axis=1) + 1
            ap[start : start + len(rows), pool] = _average_precision(ranks)
    return case.means(ap)


def _dictionaries(case: Case, score: Callable[[dict[str, Any], dict[str, Any]], list[float]]) -> np.ndarray:
    """Full rankings as dictionaries, some queries at a time; `score` gives AP by query."""
    ap = np.empty((len(case.rows), len(case.languages) + 1))
    for start in range(0, len(case.rows), BLOCK):
        rows = case.rows[start : start + BLOCK]
        scores = case.queries[rows] @ case.candidates.T
        names = [f"q{row:06}" for row in rows]
        for pool, columns in case.pools():
            ids = case.ids[columns]
            qrels = {
                name: {case.ids[index]: 1 for index in found}
                for name, found in zip(names, case.relevant_in(pool)[rows].tolist(), strict=True)
            }
            run = {
                name: dict(zip(ids, found, strict=True))
                for name, found in zip(names, scores[:, columns].tolist(), strict=True)
            }
            ap[start : start + len(rows), pool] = score(qrels, run)
    return case.means(ap)


def pytrec_eval(case: Case) -> np.ndarray:
    """trec_eval's `map` of full rankings."""
    import pytrec_eval as library

    def score(qrels: dict[str, Any], run: dict[str, Any]) -> list[float]:
        found = library.RelevanceEvaluator(qrels, {"map"}).evaluate(run)
        return [found[name]["map"] for name in run]

    return _dictionaries(case, score)


def ranx(case: Case) -> np.ndarray:
    """ranx's `map` of full rankings."""
    from ranx import Qrels, Run, evaluate

    def score(qrels: dict[str, Any], run: dict[str, Any]) -> list[float]:
        of_run = Run(run)
        evaluate(Qrels(qrels), of_run, "map", make_comparable=False)
        return [of_run.scores["map"][name] for name in run]

    return _dictionaries(case, score)


def mteb(case: Case) -> np.ndarray:
    """A local mteb retrieval task with a subset a setting, evaluated by mteb with its defaults: MAP@1000."""
    import mteb as library
    import torch
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta

    class Lookup:
        """An encoder that knows its texts by number."""

        mteb_model_meta = ModelMeta.create_empty({"name": "precomputed/vectors", "revision": "1"})

        def encode(self, inputs: Any, *, prompt_type: Any = None, **_: Any) -> np.ndarray:
            rows = [int(text) for batch in inputs for text in batch["text"]]
            return (case.queries if prompt_type == library.types.PromptType.query else case.candidates)[rows]

        def similarity(self, a: Any, b: Any) -> Any:
            return torch.as_tensor(a) @ torch.as_tensor(b).T

        def similarity_pairwise(self, a: Any, b: Any) -> Any:
            return (torch.as_tensor(a) * torch.as_tensor(b)).sum(dim=1)

    asked = sorted(set(case.query_columns[case.rows].tolist()))
    subsets = {
        (m, pool): f"{case.languages[m]}-{[*case.languages, 'all'][pool]}" for m in asked for pool, _ in case.pools()
    }

    class Local(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="LocalXQuADR",
            description="Settings of XQuAD-R from vectors computed before.",
            reference=None,
            dataset={"path": "local", "revision": "1"},
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs={name: ["eng-Latn"] for name in subsets.values()},
            main_score="map_at_1000",
        )

        def load_data(self, num_proc: int | None = None, **_: Any) -> None:
            corpora = []
            for _pool, columns in case.pools():
                numbers = range(len(case.ids))[columns]
                corpora.append(Dataset.from_dict({"id": case.ids[columns], "text": [str(i) for i in numbers]}))
            self.dataset = {}
            for (m, pool), name in subsets.items():
                mine = case.rows[case.query_columns[case.rows] == m]
                names = [f"q{row}" for row in mine]
                relevant = case.relevant_in(pool)[mine].tolist()
                split = {
                    "corpus": corpora[pool],
                    "queries": Dataset.from_dict({"id": names, "text": [str(row) for row in mine]}),
                    "relevant_docs": {
                        query: {case.ids[index]: 1 for index in found}
                        for query, found in zip(names, relevant, strict=True)
                    },
                    "top_ranked": None,
                }
                self.dataset[name] = {"test": split}
            self.data_loaded = True

    result = library.evaluate(Lookup(), Local(), cache=None, co2_tracker=False, show_progress_bar=False)
    found = {scores["hf_subset"]: scores["map_at_1000"] for scores in result.task_results[0].scores["test"]}
    means = np.full((len(case.languages), len(case.languages) + 1), np.nan)
    for (m, pool), name in subsets.items():
        means[m, pool] = found[name]
    return means


def task_of(case: Case) -> TaskData:
    """The case as this program's task."""
    edges = case.edges.tolist()
    names = case.languages
    queries = tuple(
        Query(f"{names[case.query_columns[row]]}:{row}", names[case.query_columns[row]], str(row), "")
        for row in case.rows
    )
    candidates = tuple(
        Candidate(case.ids[i], name, "")
        for name, low, high in zip(names, edges, edges[1:], strict=False)
        for i in range(low, high)
    )
    relevants = tuple(tuple(found) for found in case.relevants[case.rows].tolist())
    return TaskData("xquad-r", tuple(names), queries, candidates, relevants, (0,) * len(queries))


def xqr_bench(case: Case) -> np.ndarray:
    """Ranks and every metric of the task, bias and ties included; the figures of MAP are returned."""
    from xqr_bench.measure.scores import all_per_query, score
    from xqr_bench.rank.exact import exact_ranks
    from xqr_bench.tasks import load_spec

    spec = load_spec("xquad-r")
    ranks = exact_ranks(task_of(case), case.queries[case.rows], case.candidates)
    scores, _ = score(all_per_query(ranks, spec.metrics, spec.settings), {})
    means = np.full((len(case.languages), len(case.languages) + 1), np.nan)
    for m in np.unique(case.query_columns[case.rows]).tolist():
        query = case.languages[m]
        means[m, m] = scores["monolingual"].by_query_language[query]["map"].value
        means[m, -1] = scores["multilingual"].by_query_language[query]["map"].value
        for n, candidate in enumerate(case.languages):
            if n != m:
                means[m, n] = scores["cross-lingual"].by_language_pair[f"{query}>{candidate}"]["map"].value
    return means
