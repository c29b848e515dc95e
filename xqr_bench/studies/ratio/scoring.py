"""One model as it is now -> its raw and centred results, on what a run is trained and evaluated on."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError, RecordError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import MULTILINGUAL, SETTINGS, FloatArray, IntArray, Ranks, TaskData
from xqr_bench.encode import BoundEncoder, Embeddings, ModelIdentity, embed_tasks
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.texts import embeddings_of, items_of
from xqr_bench.encode.transform import TransformOptions, transform_vectors
from xqr_bench.evaluation.evaluate import choose_metrics
from xqr_bench.evaluation.ranker import Ranking, Task
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.record.describe import language_diagnostics
from xqr_bench.record.provenance import TrainingRecord, exposure_of
from xqr_bench.studies.ratio.design import Run
from xqr_bench.tasks import TaskSpec, load_task, resolve_task
from xqr_bench.tasks.load import keep_clusters
from xqr_bench.train import ParallelData, TrainCache
from xqr_bench.train.data import article_folds, keep_languages, keep_questions, load_training_data
from xqr_bench.train.initial import Tokens, is_static, vocabulary_digest

# Ranks -> sums and counts by setting cell and article: all that means, folds and article bootstraps need.

BIAS = ("rank_distance", "own_language_first")
"""Bias measures of the multilingual setting that are summed as MAP is."""
SUMMED = ("map", *BIAS)


@dataclass(frozen=True)
class Compact:
    """One view (raw or centred) of one checkpoint.

    Attributes:
        rows: `setting/metric/cell`, such as `cross-lingual/map/en>de`.
        sums: of the values of each row's queries in each article, float64 `[rows, articles]`.
        counts: how many values, int32 `[rows, articles]`; undefined ones are left out.
    """

    rows: tuple[str, ...]
    sums: FloatArray
    counts: NDArray[np.int32]


def compact(ranks: Ranks, articles: IntArray, n_articles: int, leave_out: Collection[str] = ()) -> Compact:
    """Sum the values of MAP in each cell, and of bias measures in the multilingual ones, by article.

    Args:
        ranks: what was counted.
        articles: article of each query, int64 `[queries]`.
        n_articles: of the whole task.
        leave_out: question ids whose values are not counted; their texts stay in the pool.
    """
    stays = np.array([question not in leave_out for question in ranks.question_ids], dtype=bool)
    rows: list[str] = []
    sums, counts = [], []
    for setting in SETTINGS:
        metrics = SUMMED if setting == MULTILINGUAL else ("map",)
        for metric, found in all_per_query(ranks, metrics, (setting,)).get(setting, {}).items():
            usable = ~np.isnan(found.values) & stays[found.queries]
            place = (found.cell * n_articles + articles[found.queries])[usable]
            size = len(found.cells) * n_articles
            rows += [f"{setting}/{metric}/{cell.pair}" for cell in found.cells]
            sums.append(np.bincount(place, found.values[usable], size).reshape(-1, n_articles))
            counts.append(np.bincount(place, minlength=size).reshape(-1, n_articles).astype(np.int32))
    return Compact(tuple(rows), np.concatenate(sums), np.concatenate(counts))


def macro_scores(found: Compact) -> dict[str, float]:
    """`setting/metric` -> mean over its cells of their means; those with an undefined cell are left out."""
    means = found.sums.sum(axis=1) / np.maximum(found.counts.sum(axis=1), 1)
    defined = found.counts.sum(axis=1) > 0
    result = {}
    families = [row.rpartition("/")[0] for row in found.rows]
    for family in dict.fromkeys(families):
        own = np.array([name == family for name in families])
        if defined[own].all():
            result[family] = float(means[own].mean())
    return result


def save_compact(views: Mapping[str, Compact], about: Mapping[str, Any], path: Path) -> None:
    """Write the views of a checkpoint; the same content gives the same bytes."""
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about, sort_keys=True))}
    for name, found in views.items():
        arrays |= {
            f"{name}.rows": np.array(found.rows),
            f"{name}.sums": found.sums,
            f"{name}.counts": found.counts,
        }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_compact(path: Path) -> tuple[dict[str, Compact], dict[str, Any]]:
    """Read what `save_compact` wrote.

    Raises:
        RecordError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            about = strict_json.parse(str(found["about"]))
            names = [key.removesuffix(".rows") for key in found.files if key.endswith(".rows")]
            views = {
                name: Compact(
                    tuple(str(row) for row in found[f"{name}.rows"]), found[f"{name}.sums"], found[f"{name}.counts"]
                )
                for name in names
            }
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no results of a run"
        raise RecordError(f"{path} cannot be read: {why}", remedy="remove the run's folder and sweep again") from error
    return views, about


# What one run is trained on and evaluated on; with folds, two parts that share no article.


@dataclass(frozen=True)
class RunData:
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


def run_data(run: Run, cache: TrainCache, data_dir: Path | str | None = None) -> RunData:
    """Read, or cut out, the data of a run.

    Raises:
        DataError: data that is missing or damaged, or parts that share an article.
    """
    condition = run.condition
    out = condition.languages_out(run.seed, run.fold)
    key = (condition, run.fold, out, data_dir)
    return cache.get("run data", key, lambda: _made(run, out, cache, data_dir))


def _made(run: Run, out: tuple[str, ...], cache: TrainCache, data_dir: Path | str | None) -> RunData:
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
    numbers = np.asarray(whole.clusters, dtype=np.int64)
    n_articles = int(numbers.max()) + 1
    if run.fold is None:
        return RunData(data, spec, whole, numbers, n_articles)
    fold = article_folds(data, condition.folds, np.random.default_rng(condition.fold_seed))[run.fold]
    inside = np.isin(data.articles, fold)
    ids = {name for name, here in zip(data.ids, inside, strict=True) if here}
    by_task = {query.question: number for query, number in zip(whole.queries, whole.clusters, strict=True)}
    held = {number for question, number in by_task.items() if question in ids}
    if any(number in held and question not in ids for question, number in by_task.items()):
        raise DataError(f"the folds of {data.name} cut articles of {whole.name} apart", remedy="report this as a bug")
    train = keep_questions(
        data, ~inside, {"without fold": run.fold, "folds": condition.folds, "seed of folds": condition.fold_seed}
    )
    if out:
        train = keep_languages(train, [code for code in train.languages if code not in out])
    task = keep_clusters(whole, held)
    number_of = {query.id: number for query, number in zip(whole.queries, whole.clusters, strict=True)}
    articles = np.array([number_of[query.id] for query in task.queries], dtype=np.int64)
    return RunData(train, spec, task, articles, n_articles)


# One model as it is now as rankers: its vectors as they are, and centred on each language's mean.

RAW, CENTRED = "raw", "centred"
_AT_ONCE = 4096


@dataclass
class ViewRanker:
    """Ranks a run's task by the vectors of its model, encoded once for both views.

    Attributes:
        name: of the record.
        encoder: the model, bound.
        vectors: of the task.
        group: `run_group` of the record.
        centred: whether to take each language's mean out of the vectors first.
        training: of the model, for a record that is kept; None: the record is not kept, so it gets no diagnostics.
        seconds: what was spent on the vectors.
    """

    name: str
    encoder: BoundEncoder
    vectors: Embeddings
    group: Mapping[str, Any]
    centred: bool = False
    training: TrainingRecord | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def identity(self) -> ModelIdentity:
        """That of the encoder."""
        return self.encoder.identity

    @property
    def device(self) -> str | None:
        """That of the encoder."""
        return self.encoder.device

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Count in the one task that the vectors are of."""
        (task,) = tasks
        clock, vectors, similarity = Clock(dict(self.seconds)), self.vectors, self.encoder.similarity
        facts: dict[str, Any] = {"run_group": dict(self.group)}
        if self.centred:
            with clock.phase("centring"):
                centre = TransformOptions("center")
                vectors = transform_vectors(task.data, vectors, centre, similarity=similarity)
        with clock.phase("ranking centred" if self.centred else "ranking"):
            ranks = exact_ranks(task.data, vectors.queries, vectors.candidates, similarity=similarity, observe=observe)
        diagnostics = {}
        if self.training is not None:
            with clock.phase("diagnostics"):
                diagnostics = language_diagnostics(task.data, vectors, self.encoder)
            facts["training"] = self.training.model_dump(mode="json")
            facts["exposure"] = exposure_of(self.training, task.data)
        yield Ranking(
            ranks,
            warnings=self.encoder.warnings,
            diagnostics=diagnostics,
            facts=facts,
            settings={"study": self.group},
            seconds=clock.seconds,
        )


def encode(model: Any, bound: BoundEncoder, data: RunData, cache: TrainCache) -> Embeddings:
    """The vectors of the task, as `embed_tasks` gives them; of a static model from tokens that are kept."""
    if not is_static(model):
        return embed_tasks(bound, [data.task])[data.task.name]
    task = data.task
    vectors: dict[Role, NDArray[np.float32]] = {}
    distinct = 0
    for role in ROLES:
        prompt = "query" if role == "query" else "document"
        texts = [item.text for item in items_of(task, role)]
        first = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        key = (task.name, str(task.partial), role, model.prompts[prompt], vocabulary_digest(model[0].tokenizer))
        tokens = cache.get("task tokens", key, partial(Tokens, model[0].tokenizer, list(first), model.prompts[prompt]))
        of_text = _bags(model, tokens)
        vectors[role] = of_text[[first[text] for text in texts]]
        distinct += len(first)
    bound.check_dimensions(of_text.shape[1], task.name)
    return embeddings_of(task, vectors, distinct_texts=distinct)


def _bags(model: Any, tokens: Tokens) -> NDArray[np.float32]:
    """The mean of each text's subword vectors, float32 `[texts, d]`."""
    import torch

    n = len(tokens.lengths)
    parts = []
    with torch.no_grad():
        for start in range(0, n, _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, n), dtype=np.int32)
            ids, offsets = tokens.batch(rows)
            parts.append(model[0].embedding(torch.from_numpy(ids), torch.from_numpy(offsets)).numpy())
    return np.concatenate(parts)


def model_name(identity: str) -> str:
    """A run's name in records."""
    return f"ratio-study/{identity.replace('/', '_')}"


def task_file(folder: Path, task: str) -> Path:
    """Where the full record of a run stands."""
    return folder / f"{task}.json"
