"""Records -> results as mteb 2.26 writes them: tasks, the metadata of the model, settings of the run, predictions."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.files import atomic_path, write_text
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, FloatArray
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.runs import RunRanker
from xqr_bench.measure.metrics.average_precision import average_precision
from xqr_bench.measure.metrics.lists import RankedLists, share_within
from xqr_bench.measure.metrics.ndcg import ndcg
from xqr_bench.measure.metrics.per_query import Cell, SettingView, setting_views
from xqr_bench.measure.metrics.recall import recall
from xqr_bench.measure.metrics.reciprocal_rank import reciprocal_rank
from xqr_bench.measure.metrics.success import success
from xqr_bench.rank.mteb_predictions import predictions_path
from xqr_bench.rank.runs import read_chunks, run_files
from xqr_bench.record import Result
from xqr_bench.tasks.mteb import MAIN_SCORE, SPLIT, data_revision, described, library_version, the_library

CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
"""Those of mteb's retrieval tasks."""
_PACKAGES = ("torch", "sentence-transformers", "flash-attn", "transformers")
NO_REVISION = "no_revision_available"


def _precision(lists: RankedLists, k: int) -> FloatArray:
    return lists.sum_rows(share_within(lists, k)) / k


_MEASURES: dict[str, Callable[..., FloatArray]] = {
    "ndcg": ndcg,
    "map": average_precision,
    "recall": recall,
    "precision": _precision,
    "mrr": reciprocal_rank,
    "hit_rate": success,
}
"""mteb's names, in its order, of what follows from ranks; its nAUC needs the scores of 1,000 candidates."""


def subset_scores(view: SettingView, depth: int | None) -> dict[str, dict[str, float]]:
    """The scores of each subset of a setting, by mteb's names, five decimals.

    Each is the mean over queries of its expectation over a random order of tied candidates, where mteb has that of one
    order. Those with a cut-off beyond the depth of the ranking are absent.

    Args:
        view: the lists of the setting.
        depth: where the ranking is cut; None: nowhere.
    """
    cells, cell = view.list_cells
    names = [_subset(one, view.setting) for one in cells]
    scores: dict[str, dict[str, float]] = {name: {} for name in names}
    for measure, kernel in _MEASURES.items():
        for k in CUTOFFS:
            if depth is not None and k > depth:
                continue
            values = (view.graded if measure == "ndcg" else view).apply(partial(kernel, k=k))
            means = np.bincount(cell, values, minlength=len(cells)) / np.bincount(cell, minlength=len(cells))
            for name, mean in zip(names, means.tolist(), strict=True):
                scores[name][f"{measure}_at_{k}"] = round(mean, 5)
        if measure == "recall":
            for of_subset in scores.values():
                of_subset["accuracy"] = of_subset["recall_at_1"]
    return scores


def _subset(cell: Cell, setting: str) -> str:
    return cell.pair if setting == CROSS_LINGUAL else cell.query


def write_results(records: Sequence[Result], folder: Path, *, name: str | None = None) -> list[Path]:
    """Write `results/<org__name>/<revision>/<Task>.json`, `model_meta.json` and `run_settings.jsonl`.

    Args:
        records: with their ranks; one of a model and task.
        folder: mteb's cache folder; made where it is not there.
        name: the model's `ORG/NAME` instead of the record's.

    Returns:
        The files.

    Raises:
        UsageError: mteb is not installed; two records of one model and task; several models under one name; a file is
            there already; a record of a part of a task, or of gains that mteb's measures do not know.
        RecordError: a name in the record is no name of a file.
    """
    the_library()
    from mteb.cache import ResultCache
    from mteb.results import TaskResult

    if name is not None and len({record.model.name for record in records}) > 1:
        raise UsageError("--name is given for records of several models", remedy="export each model by itself")
    for record in records:
        _refuse(record)
    cache = ResultCache(folder)
    made: dict[Path, Any] = {}
    texts: dict[Path, str] = {}
    settings: defaultdict[Path, list[str]] = defaultdict(list)
    for record in records:
        meta = _meta(record, name)
        for setting, task in _tasks(record).items():
            scores = subset_scores(setting_views(record.ranks, (setting,))[setting], record.ranks.depth)
            path = Path(cache.get_task_result_path(task.metadata.name, meta))
            _refuse_place(path, folder, made)
            for of_subset in scores.values():
                of_subset["main_score"] = of_subset[MAIN_SCORE]
            made[path] = TaskResult.from_task_results(
                task,
                {SPLIT: scores},
                evaluation_time=round(sum(record.provenance.seconds.values()), 3),
                date=datetime.fromisoformat(record.provenance.created),
            )
            texts[path.parent / "model_meta.json"] = json.dumps(meta.to_dict(), default=str, indent=4)
            settings[path.parent].append(_run_settings(record, task.metadata.name, sorted(scores)))
    texts |= {place / "run_settings.jsonl": "".join(f"{line}\n" for line in lines) for place, lines in settings.items()}
    if there := [path for path in (*made, *texts) if path.exists()]:
        raise UsageError(f"{there[0]} is there already", remedy="name another folder, or remove it first")
    for path, result in made.items():
        with atomic_path(path) as temporary:
            result.to_disk(temporary)
    for path, text in texts.items():
        write_text(path, text)
    return [*made, *texts]


def _refuse(record: Result) -> None:
    """Refuse what mteb's results have no place for."""
    task, ranks = record.task, record.ranks
    why = None
    if task.partial:
        why = "is of a part of the task, which mteb's results cannot say"
    elif ranks.relevant_from or (ranks.gains != ranks.gains.astype(np.int64)).any():
        why = "has gains that mteb's measures do not know"
    elif ranks.depth is not None and ranks.depth < int(MAIN_SCORE.rpartition("_")[2]):
        why = f"is cut at {ranks.depth}, and mteb's main score is {MAIN_SCORE}"
    if why is not None:
        raise UsageError(f"the record of {record.model.name} on {task.name} {why}", remedy="leave it out")


def _refuse_place(path: Path, folder: Path, made: Mapping[Path, object]) -> None:
    inside = path.relative_to(folder).parts
    if len(inside) not in (4, 6) or any(part in (".", "..") or re.search(r"[\\:\0]", part) for part in inside):
        raise RecordError(
            "a name in the record is no name of a file", found="/".join(inside)[:200], remedy="give --name ORG/NAME"
        )
    if path in made:
        raise UsageError(f"two of the records are {path}", remedy="give each model and task once")


def _tasks(record: Result) -> dict[str, Any]:
    """The class of each setting of the record's task, as `mteb_tasks` makes it of the task itself."""
    task, ranks = record.task, record.ranks
    revision, made = data_revision(task.revision, task.files), {}
    columns = [ranks.columns[column] for column in ranks.relevant_columns.tolist()]
    asked = [ranks.query_languages[query] for query in ranks.row_queries.tolist()]
    for setting in task.settings:
        subsets: dict[str, dict[str, None]] = {}
        for query, candidate in zip(asked, columns, strict=True):
            if setting == MULTILINGUAL or (query == candidate) == (setting == MONOLINGUAL):
                subset = _subset(Cell(query, candidate), setting)
                subsets.setdefault(subset, {query: None})[candidate] = None
        languages = {subset: list(codes) for subset, codes in subsets.items()}
        made[setting] = described(task.name, setting, languages, revision, description=task.title)
    return made


def _meta(record: Result, name: str | None) -> Any:
    """The ModelMeta of a record's model: mteb's own where it comes from there, else what the record knows."""
    import mteb
    from mteb.models import ModelMeta

    identity = record.model.identity
    if identity.kind == "mteb" and name is None and record.model.name == identity.name:
        try:
            meta = mteb.get_model_meta(identity.name, revision=identity.revision)
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"{library_version()} has no {identity.name} of the revision {identity.revision}",
                found=str(error)[:200],
                remedy="install the mteb that the record names, or give --name ORG/NAME",
            ) from error
        return meta.model_copy(update={"experiment_kwargs": dict(identity.model_kwargs) or None})
    called = name or record.model.name
    if name is not None and not re.fullmatch(r"[^/\s]+/[^/\s]+", name):
        raise UsageError(f"--name {name!r:.60} is no name of a model in mteb", remedy="write it as ORG/NAME")
    facts = {
        "name": called if "/" in called else f"xqr-bench/{called}",
        "revision": identity.revision or identity.digest or NO_REVISION,
        "max_tokens": identity.max_length,
        "embed_dim": identity.truncate_dim or identity.dimensions,
        "similarity_fn_name": identity.similarity if identity.similarity in ("cosine", "dot") else None,
    }
    return ModelMeta(**{**ModelMeta.create_empty().model_dump(), **facts})


def _run_settings(record: Result, task: str, subsets: list[str]) -> str:
    """A line of `run_settings.jsonl`; the versions are those of the record's run."""
    of_run, by = record.provenance, record.model.identity
    versions = {
        "mteb": (by.distribution or "").partition(" ")[2] if (by.distribution or "").startswith("mteb ") else None,
        **{package: of_run.packages.get(package) for package in _PACKAGES},
        "xqr-bench": of_run.code_version,
    }
    return json.dumps({"task": task, "splits": [SPLIT], "version": versions, "encode_kwargs": {}, "subsets": subsets})


def write_predictions(
    record: Result, task: Task, runs: Path, folder: Path, observe: Observer, *, name: str | None = None
) -> list[Path]:
    """Write `<Task>_predictions.json` of each setting that has a TREC run, as mteb's `prediction_folder` has them.

    Args:
        record: with its ranks; whose runs they are.
        task: its task.
        runs: the folder that `evaluate --trec-run` wrote.
        folder: mteb's `prediction_folder`.
        observe: hears how many lists are read.
        name: the model's `ORG/NAME` instead of the record's.

    Returns:
        The files.

    Raises:
        UsageError: the runs are not those of the record; a file is there already.
        RunError: a run is missing or cannot be read.
    """
    (ranking,) = RunRanker(runs).rank([task], observe)
    for theirs, ours in zip(ranking.ranks.counts[::2], record.ranks.counts[::2], strict=True):  # what stands above
        if (
            list(ranking.ranks.relevant_ids) != list(record.ranks.relevant_ids)
            or ((theirs >= 0) & (theirs != ours)).any()
        ):
            raise UsageError(
                f"the runs in {runs} are not those of the record of {record.model.name}",
                remedy="write them with it: xqr-bench evaluate MODEL --trec-run DIR --overwrite",
            )
    meta, made = _meta(record, name), []
    by = {"mteb_model_meta": {"model_name": meta.name, "revision": meta.revision}}
    for setting, run in run_files(runs, record.task.name).items():
        if (path := predictions_path(folder, record.task.name, setting)).exists():
            raise UsageError(f"{path} is there already", remedy="name another folder, or remove it first")
        subsets: dict[str, dict[str, dict[str, float]]] = {}
        for chunk in read_chunks(run):
            for line, candidate, score in zip(chunk.query, chunk.document, chunk.exact.tolist(), strict=True):
                query, _, pool = chunk.queries[line].partition(">")
                language = query.partition(":")[0]
                lists = subsets.setdefault(f"{language}>{pool}" if pool else language, {})
                lists.setdefault(query, {})[chunk.documents[candidate]] = score
        write_text(path, json.dumps(by | {name: {SPLIT: lists} for name, lists in subsets.items()}))
        made.append(path)
    return made
