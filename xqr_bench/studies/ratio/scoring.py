"""One model as it is now -> its raw and centred results, on what a run is trained and evaluated on."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError, RecordError, UsageError
from xqr_bench.core.files import atomic_path, read_arrays
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import MULTILINGUAL, SETTINGS, FloatArray, IntArray, Ranks, TaskData
from xqr_bench.encode import BoundEncoder, Embeddings, ModelIdentity, embed_tasks
from xqr_bench.encode.batches import plan_shards
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.sentence_transformer import ModelEncoder
from xqr_bench.encode.texts import embeddings_of, items_of
from xqr_bench.encode.transform import TransformOptions, transform_vectors
from xqr_bench.evaluation.evaluate import choose_metrics
from xqr_bench.evaluation.ranker import Ranking, Task
from xqr_bench.evaluation.vectors import where_worth_it
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.counting import AUTO, counting_device, device_name
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.record.describe import language_diagnostics
from xqr_bench.record.provenance import TrainingRecord, exposure_of
from xqr_bench.studies.ratio.design import Run
from xqr_bench.tasks import TaskSpec, load_task, resolve_task
from xqr_bench.tasks.load import keep_clusters
from xqr_bench.train import ParallelData, TrainCache
from xqr_bench.train.data import article_folds, keep_languages, keep_questions, load_training_data
from xqr_bench.train.initial import Tokens, copy_model, is_static, vocabulary_digest

# Ranks -> sums and counts by setting cell and article: all that means, folds and article bootstraps need.

BIAS = ("rank_distance", "own_language_first")
"""Bias measures of the multilingual setting that are summed as MAP is."""
SUMMED = ("map", *BIAS)
RAW: Final = "raw"
CENTRED: Final = "centred"
_PARTS = ("rows", "sums", "counts")
_ROW = re.compile(r"[^/]+/[^/]+/[^/>]+(>[^/>]+)?")


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
        for metric, values in all_per_query(ranks, metrics, (setting,)).get(setting, {}).items():
            usable = ~np.isnan(values.values) & stays[values.queries]
            place = (values.cell * n_articles + articles[values.queries])[usable]
            size = len(values.cells) * n_articles
            rows += [f"{setting}/{metric}/{cell.pair}" for cell in values.cells]
            sums.append(np.bincount(place, values.values[usable], size).reshape(-1, n_articles))
            counts.append(np.bincount(place, minlength=size).reshape(-1, n_articles).astype(np.int32))
    return Compact(tuple(rows), np.concatenate(sums), np.concatenate(counts))


def macro_scores(sums: Compact) -> dict[str, float]:
    """`setting/metric` -> mean over its cells of their means; those with an undefined cell are left out."""
    totals, counts = sums.sums.sum(axis=1), sums.counts.sum(axis=1)
    means = totals / np.maximum(counts, 1)
    families = np.array([row.rpartition("/")[0] for row in sums.rows])
    return {
        family: float(means[families == family].mean())
        for family in dict.fromkeys(families.tolist())
        if (counts[families == family] > 0).all()
    }


def save_compact(views: Mapping[str, Compact], about: Mapping[str, Any], path: Path) -> None:
    """Write the views of a checkpoint; the same content gives the same bytes."""
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about, sort_keys=True))}
    for name, view in views.items():
        arrays |= {f"{name}.rows": np.array(view.rows), f"{name}.sums": view.sums, f"{name}.counts": view.counts}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


class _About(BaseModel):
    """What a checkpoint's results say of themselves, as far as it is read again."""

    trained: list[str]
    trainable: list[str] = []


def load_compact(path: Path) -> tuple[dict[str, Compact], dict[str, Any]]:
    """Read what `save_compact` wrote.

    Raises:
        RecordError: it cannot be read.
    """
    try:
        arrays = read_arrays(path)
        about: dict[str, Any] = strict_json.parse(str(arrays["about"]))
        strict_json.validate(_About, about)
        return {name: _view(*(arrays[f"{name}.{part}"] for part in _PARTS)) for name in (RAW, CENTRED)}, about
    except (OSError, ValueError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no results of a run"
        raise RecordError(f"{path} cannot be read: {why}", remedy="remove the run's folder and sweep again") from error


def _view(rows: NDArray[Any], sums: NDArray[Any], counts: NDArray[Any]) -> Compact:
    """The arrays of a view; ValueError where they are not those of `compact`."""
    if (
        rows.dtype.kind != "U"
        or (sums.dtype, counts.dtype) != (np.dtype(np.float64), np.dtype(np.int32))
        or rows.ndim != 1
        or sums.ndim != 2
        or not sums.shape == counts.shape == (len(rows), sums.shape[-1])
        or not np.isfinite(sums).all()
        or (counts < 0).any()
        or not all(map(_ROW.fullmatch, rows.tolist()))
    ):
        raise ValueError("its arrays do not belong together")
    return Compact(tuple(rows.tolist()), sums, counts)


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
    return cache.get("run data", key, lambda: _run_data(run, out, cache, data_dir))


def _run_data(run: Run, out: tuple[str, ...], cache: TrainCache, data_dir: Path | str | None) -> RunData:
    condition = run.condition
    spec = resolve_task(condition.evaluate)
    # Kendall's W comes with tests, which like intervals are left to the figures over seeds
    metrics = [name for name in spec.metrics if parse_metric(name).set_statistic is None]
    spec = choose_metrics(spec, metrics).model_copy(update={"relevance": ()})
    whole = cache.get("task", (spec.model_dump_json(), data_dir), lambda: load_task(spec, data_dir=data_dir))
    key = (condition.train, data_dir)
    data = cache.get("study data", key, lambda: load_training_data(condition.train, data_dir=data_dir))
    numbers = np.asarray(whole.clusters, dtype=np.int64)
    n_articles = int(numbers.max()) + 1
    unknown = sorted({code for group in condition.held_out for code in group} - set(data.languages))
    if unknown:
        raise UsageError(
            f"{condition.name} holds out {unknown[0]}, which {data.name} does not have",
            found=", ".join(data.languages),
            remedy="correct held_out",
        )
    if run.fold is None:
        return RunData(data, spec, whole, numbers, n_articles)
    fold = article_folds(data, condition.folds, np.random.default_rng(condition.fold_seed))[run.fold]
    inside = np.isin(data.articles, fold)
    ids = {name for name, here in zip(data.ids, inside, strict=True) if here}
    article_of = {query.id: int(number) for query, number in zip(whole.queries, numbers, strict=True)}
    held = {article_of[query.id] for query in whole.queries if query.question in ids}
    if any(article_of[query.id] in held and query.question not in ids for query in whole.queries):
        raise DataError(f"the folds of {data.name} cut articles of {whole.name} apart", remedy="report this as a bug")
    train = keep_questions(
        data, ~inside, {"without fold": run.fold, "folds": condition.folds, "seed of folds": condition.fold_seed}
    )
    if out:
        train = keep_languages(train, [code for code in train.languages if code not in out])
    task = keep_clusters(whole, held)
    articles = np.array([article_of[query.id] for query in task.queries], dtype=np.int64)
    return RunData(train, spec, task, articles, n_articles)


# One model as it is now as rankers: its vectors as they are, and centred on each language's mean.

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

    def __post_init__(self) -> None:
        self.identity: ModelIdentity = self.encoder.identity
        self.device: str | None = self.encoder.device

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
            device = where_worth_it(counting_device(AUTO, self.device), task, vectors.candidates.shape[1])
            ranks = exact_ranks(
                task.data, vectors.queries, vectors.candidates, similarity=similarity, device=device, observe=observe
            )
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
            counted_on=device_name(device),
        )


def as_it_encodes(model: Any, dtype: str | None) -> Any:
    """The model with weights of this type; a copy, so that a training goes on with its own. None: itself."""
    if dtype is None:
        return model
    import torch

    return copy_model(model).to(getattr(torch, dtype))


def encode(model: Any, bound: BoundEncoder, data: RunData, cache: TrainCache) -> Embeddings:
    """The vectors of the task, as `embed_tasks` gives them; from tokens that are kept, where the model allows it."""
    static = is_static(model)
    if not static and not reads_tokens(model):
        return embed_tasks(bound, [data.task])[data.task.name]
    task = data.task
    vectors: dict[Role, NDArray[np.float32]] = {}
    cut_off: dict[Role, NDArray[np.bool_]] = {}
    distinct = 0
    for role in ROLES:
        texts = [item.text for item in items_of(task, role)]
        first = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        place = np.array([first[text] for text in texts])
        if static:
            of_text = _static_vectors(model, tuple(first), role, cache)
        else:
            of_text, longer = _transformer_vectors(model, bound, tuple(first), role, cache)
            cut_off[role] = longer[place]
        vectors[role] = of_text[place]
        distinct += len(first)
    bound.check_dimensions(of_text.shape[1], task.name)
    return embeddings_of(task, vectors, cut_off=cut_off or None, distinct_texts=distinct)


def _static_vectors(model: Any, texts: tuple[str, ...], role: Role, cache: TrainCache) -> NDArray[np.float32]:
    """The mean of each text's subword vectors."""
    import torch

    prompt = model.prompts["query" if role == "query" else "document"]
    tokenizer = model[0].tokenizer
    known = (texts, prompt, vocabulary_digest(tokenizer))
    tokens = cache.get("task tokens", known, partial(Tokens, tokenizer, list(texts), prompt))
    parts = []
    with torch.no_grad():
        for start in range(0, len(texts), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(texts)), dtype=np.int32)
            parts.append(model[0].embedding(*map(torch.from_numpy, tokens.batch(rows))).numpy())
    return np.concatenate(parts)


def reads_tokens(model: Any) -> bool:
    """Whether a model's vectors are those of its tokens and nothing else: a transformer, pooling, scaling to length 1.

    Not so where the prompt is left out of the pooling, or texts are put into a chat.
    """
    kinds = [type(module).__name__ for module in model]
    return (
        kinds[:2] == ["Transformer", "Pooling"]
        and set(kinds[2:]) <= {"Dense", "Normalize"}
        and getattr(model[1], "include_prompt", True)
        and getattr(model.tokenizer, "is_fast", False)
        and getattr(model.tokenizer, "chat_template", None) is None
    )


def _transformer_vectors(
    model: Any, bound: BoundEncoder, texts: tuple[str, ...], role: Role, cache: TrainCache
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors of texts, float32 `[texts, d]`, in the batches of `embed_tasks`, and which texts are cut off."""
    import torch

    assert isinstance(bound, TextEncoder)
    tokenizer, limit, prompt = model.tokenizer, model.max_seq_length, bound.prompt(role)

    def read() -> tuple[Any, list[list[int]], IntArray]:
        """The tokenizer too: as long as it is kept, its number is its own."""
        rows = tokenizer([prompt + text for text in texts], truncation=True, max_length=limit)["input_ids"]
        lengths = tokenizer([prompt + text for text in texts], truncation=False, verbose=False)["input_ids"]
        return tokenizer, rows, np.array(list(map(len, lengths)), dtype=np.int64)

    _, rows, lengths = cache.get("task tokens", (texts, prompt, limit, id(tokenizer)), read)
    if isinstance(bound, ModelEncoder):
        bound.counts = cache.get("token counts", id(tokenizer), dict)
    kept = np.minimum(lengths, limit)
    # the order of embed_tasks: by characters first, then by tokens
    order = np.array(sorted(range(len(texts)), key=lambda row: (-len(texts[row]), texts[row])), dtype=np.int64)
    (shard,) = plan_shards(order, kept[order], bound.limits, np.inf, np.inf)
    vectors: NDArray[np.float32] | None = None
    with torch.inference_mode():
        for batch in shard:
            inputs = tokenizer.pad({"input_ids": [rows[row] for row in batch.tolist()]}, return_tensors="pt")
            inputs = {name: value.to(model.device) for name, value in inputs.items()}
            made = model(inputs)["sentence_embedding"].float().cpu().numpy()
            if vectors is None:
                vectors = np.empty((len(texts), made.shape[1]), dtype=np.float32)
            vectors[batch] = made
    assert vectors is not None
    return vectors, lengths > limit


def task_file(folder: Path, task: str) -> Path:
    """Where the full record of a run stands."""
    return folder / f"{task}.json"


def record_of(run: Run, folder: Path) -> Path:
    """The same in the folder of a sweep: a condition names its task, or the task's file."""
    return task_file(folder / run.id, resolve_task(run.condition.evaluate).name)
