"""What one run is trained on and evaluated on; with folds, two parts that share no article."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xqr_bench.data import TaskSpec, load_task, resolve_task
from xqr_bench.data.restrict import keep_articles
from xqr_bench.errors import DataError
from xqr_bench.metrics import parse_metric
from xqr_bench.pipeline import choose_metrics
from xqr_bench.study.design import Run
from xqr_bench.train.cache import TrainCache
from xqr_bench.train.data import article_folds, keep_languages, load_training_data
from xqr_bench.train.data.parts import keep_questions
from xqr_bench.train.types import ParallelData
from xqr_bench.types import IntArray, TaskData


@dataclass(frozen=True)
class Material:
    """Data of a run.

    Attributes:
        train: what is trained on.
        spec: the task, without rules of relevance beside the strict one and without metrics that are tested (W).
        task: what is evaluated.
        articles: article of each query of `task`, numbered as in the whole task, int64 `[queries]`.
        n_articles: of the whole task.
    """

    train: ParallelData
    spec: TaskSpec
    task: TaskData
    articles: IntArray
    n_articles: int


def material(run: Run, cache: TrainCache, data_dir: str | None = None) -> Material:
    """Read, or cut out, the data of a run.

    Raises:
        DataError: data that is missing or damaged, or parts that share an article.
    """
    condition = run.condition
    out = condition.languages_out(run.seed, run.fold)
    key = (condition, run.fold, out, data_dir)
    return cache.get("material", key, lambda: _made(run, out, cache, data_dir))


def _made(run: Run, out: tuple[str, ...], cache: TrainCache, data_dir: str | None) -> Material:
    condition = run.condition
    spec = resolve_task(condition.evaluate)
    # Kendall's W comes with tests, which like intervals are left to the figures over seeds
    metrics = [name for name in spec.metrics if parse_metric(name).set_statistic is None]
    spec = choose_metrics(spec, metrics).model_copy(update={"relevance": ()})
    whole = cache.get("task", (spec.name, data_dir), lambda: load_task(spec, data_dir=data_dir))
    data = cache.get(
        "study data",
        (condition.train, data_dir),
        lambda: load_training_data(condition.train, data_dir=None if data_dir is None else Path(data_dir)),
    )
    numbers = np.asarray(whole.articles, dtype=np.int64)
    n_articles = int(numbers.max()) + 1
    if run.fold is None:
        return Material(data, spec, whole, numbers, n_articles)
    fold = article_folds(data, condition.folds, np.random.default_rng(condition.fold_seed))[run.fold]
    inside = np.isin(data.articles, fold)
    ids = {name for name, here in zip(data.ids, inside, strict=True) if here}
    by_task = {query.question: number for query, number in zip(whole.queries, whole.articles, strict=True)}
    held = {number for question, number in by_task.items() if question in ids}
    if any(number in held and question not in ids for question, number in by_task.items()):
        raise DataError(f"the folds of {data.name} cut articles of {whole.name} apart", remedy="report this as a bug")
    train = keep_questions(
        data, ~inside, {"without fold": run.fold, "folds": condition.folds, "seed of folds": condition.fold_seed}
    )
    if out:
        train = keep_languages(train, [code for code in train.languages if code not in out])
    task = keep_articles(whole, held)
    number_of = {query.id: number for query, number in zip(whole.queries, whole.articles, strict=True)}
    articles = np.array([number_of[query.id] for query in task.queries], dtype=np.int64)
    return Material(train, spec, task, articles, n_articles)
