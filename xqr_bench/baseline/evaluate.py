"""Baselines -> records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xqr_bench.baseline.bm25 import NAME, Bm25, Bm25Options
from xqr_bench.data import Progress as DataProgress
from xqr_bench.data import TaskSpec, load_task, resolve_task
from xqr_bench.pipeline import choose_metrics, make_record
from xqr_bench.progress import Clock, Progress, Quiet, told
from xqr_bench.record import ModelInfo, Record
from xqr_bench.search.blocks import ranks_of_scores
from xqr_bench.search.hits import ScoreBlock
from xqr_bench.types import TaskData


def bm25(
    tasks: Sequence[str | Path | TaskSpec],
    *,
    options: Bm25Options | None = None,
    name: str | None = None,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    progress: Progress | None = None,
    data_progress: DataProgress | None = None,
    arguments: Mapping[str, Any] | None = None,
    on_scores: Callable[[TaskData, Iterable[ScoreBlock]], None] | None = None,
) -> list[Record]:
    """Score BM25 on tasks: every candidate has a score, the ranks are exact and of full depth.

    Args:
        tasks: names, paths or specs.
        options: parameters of BM25.
        name: names the record; default "bm25".
        data_dir, languages, limit, metrics, progress, data_progress, arguments: as for `evaluate_tasks`.
        on_scores: given each task and its scores (computed a second time), such as to write a run.

    Returns:
        one record per task, in order.

    Raises:
        XqrBenchError: whatever is wrong with the arguments or the data.
    """
    progress = progress or Quiet()
    options = options or Bm25Options()
    records = []
    for spec in [choose_metrics(resolve_task(task), metrics) for task in tasks]:
        clock = Clock()
        with clock.phase("loading"), told(progress, "loading", 1):
            data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, progress=data_progress)
            progress.advance(1)
        with clock.phase("indexing"), told(progress, "indexing", 1):
            scorer = Bm25(data, options)
            progress.advance(1)
        with clock.phase("ranking"), told(progress, "ranking", len(data.queries)):
            ranks = ranks_of_scores(data, scorer.scores(), progress.advance)
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
