"""Runs -> records: any system's ranking, scored like an encoder's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.data import Progress as DataProgress
from xqr_bench.data import TaskSpec, load_task, resolve_task
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.digests import digest_of_files
from xqr_bench.errors import RunError
from xqr_bench.metrics.per_query import setting_views
from xqr_bench.pipeline import choose_metrics, make_record
from xqr_bench.progress import Clock, Progress, Quiet, told
from xqr_bench.record import ModelInfo, Record
from xqr_bench.search.exact import ranks_of, relevant_rows
from xqr_bench.search.variants import Variants, paragraph_relevants
from xqr_bench.trec.layout import LAYOUT, candidate_columns, run_files, task_lists
from xqr_bench.trec.peers import Agreement, PytrecEval, compare, require_agreement
from xqr_bench.trec.read import Counts, RunReader, SettingCounts
from xqr_bench.types import MULTILINGUAL, SETTINGS, Ranks, TaskData

MAX_CHECKED = 20_000
CHECK_SEED = 0


def evaluate_runs(
    folder: Path | str,
    tasks: Sequence[str | Path | TaskSpec],
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
    """Score the TREC runs below a folder; the record holds the settings that have a run.

    Candidates are ranked by score, as trec_eval does, and never by the rank column; scores are read as 32-bit
    floats, as trec_eval does. Every figure is also computed by pytrec_eval (on at most 20,000 lists a setting).

    Depth: a setting whose lists all hold their whole pool is not cut. If every list of every setting does, and none
    is missing, the record is of full depth; else its depth is its longest list, a relevant that is not in its list
    has no rank, and measures that need all ranks are undefined.

    Args:
        folder: holds `<task>/<setting>.run` or `.run.gz`.
        tasks: names, paths or specs.
        name: names the record; default: the folder's own name.
        data_dir, languages, limit, metrics, progress, data_progress, arguments: as for `evaluate_tasks`.

    Returns:
        one record per task, in order.

    Raises:
        RunError: a run is missing or cannot be scored: see `RunReader.read`; or it is cut above a metric's cutoff.
        XqrBenchError: whatever is wrong with the task or its data.
    """
    folder = Path(folder).expanduser()
    progress = progress or Quiet()
    specs = [choose_metrics(resolve_task(task), metrics) for task in tasks]
    files = {spec.name: run_files(folder, spec.name) for spec in specs}
    identity = run_identity(folder)
    records = []
    for spec in specs:
        clock = Clock()
        with clock.phase("loading"), told(progress, "loading", 1):
            data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, progress=data_progress)
            progress.advance(1)
        there = {setting: path for setting, path in files[spec.name].items() if setting in spec.settings}
        if not there:
            raise RunError(
                f"{folder} has runs of {spec.name} only in settings that the task has not",
                found=", ".join(files[spec.name]),
                remedy=f"the task has: {', '.join(spec.settings)}; the layout is {LAYOUT}",
            )
        peer = PytrecEval(spec.metrics)
        with clock.phase("reading"):
            counts = {setting: _read(data, setting, path, peer, progress) for setting, path in there.items()}
        ranks = ranks_of_run(data, counts)
        _refuse_cut(spec.metrics, counts)
        with clock.phase("cross-check"):
            views = setting_views(ranks, tuple(counts))
            found = [item for setting in counts for item in compare(views[setting], peer, counts[setting].theirs)]
            require_agreement(found, f"{folder} on {spec.name}")
        settings: dict[str, Any] = {
            "data_dir": None if data_dir is None else str(data_dir),
            "languages": None if languages is None else list(languages),
            "limit": limit,
            "metrics": None if metrics is None else list(metrics),
            "cross_check": {"with": "pytrec_eval", **_summary(found)},
        }
        records.append(
            make_record(
                spec.model_copy(update={"settings": tuple(there)}),
                data,
                ranks,
                ModelInfo(name=name or identity.name, identity=identity),
                clock=clock,
                warnings=_warnings(counts),
                settings=settings,
                arguments=arguments,
            )
        )
    return records


def run_identity(folder: Path) -> ModelIdentity:
    """The folder's name and a digest over all its run files."""
    files = [
        (path.relative_to(folder).as_posix(), path)
        for setting in SETTINGS
        for suffix in ("", ".gz")
        for path in folder.glob(f"*/{setting}.run{suffix}")
    ]
    return ModelIdentity(
        kind="run", name=folder.resolve().name, digest=digest_of_files(files) if files else None, similarity="none"
    )


def ranks_of_run(data: TaskData, counts: Mapping[str, SettingCounts]) -> Ranks:
    """Put the settings of a run together: the pooled lists by language column, the others as lists of their own."""
    offsets, positions = relevant_rows(data)
    pooled = counts.get(MULTILINGUAL)
    shape = (len(positions), len(data.languages))
    gt = np.full(shape, -1, dtype=np.int32) if pooled is None else pooled.gt
    eq = np.zeros(shape, dtype=np.int32) if pooled is None else pooled.eq
    bilingual = [found for setting, found in counts.items() if setting != MULTILINGUAL]
    own_gt, own_eq = np.full(len(positions), -1, dtype=np.int32), np.zeros(len(positions), dtype=np.int32)
    for found in bilingual:
        own_gt[found.lists.rows] = found.gt[:, 0]
        own_eq[found.lists.rows] = found.eq[:, 0]
    whole = pooled is not None and all(found.missing == 0 and found.cut is None for found in counts.values())
    depth = None if whole else max(int(found.lengths.max(initial=0)) for found in counts.values())
    ranks = ranks_of(data, offsets, positions, gt, eq, depth)
    if pooled is not None:
        top = np.zeros((len(data.queries), len(data.languages)), dtype=np.int32)
        top[pooled.lists.queries] = pooled.top
        ranks = replace(ranks, top=top)
    ranks = replace(ranks, own_gt=own_gt, own_eq=own_eq) if bilingual else ranks
    return with_rules(data, ranks, {setting: found.wide for setting, found in counts.items() if found.wide is not None})


def with_rules(data: TaskData, ranks: Ranks, counts: Mapping[str, Counts]) -> Ranks:
    """The ranks of a run with those under the rules of relevance that the task declares.

    Args:
        data: the task.
        ranks: the strict ranks.
        counts: by setting, of all sentences of the relevants' paragraphs; empty where there is no such rule.
    """
    if not counts:
        return ranks
    paragraphs = paragraph_relevants(data)
    rows = sum(map(len, paragraphs))
    pooled, own = (np.stack([np.full(rows, -1), np.zeros(rows, dtype=np.int64)]) for _ in range(2))
    for setting, found in counts.items():
        there = found.lists.rows
        retrieved = found.gt[:, 0] >= 0
        if setting != MULTILINGUAL:
            own[:, there] = found.gt[:, 0], found.eq[:, 0]
            continue
        pooled[0, there] = np.where(retrieved, found.gt.sum(axis=1), -1)
        pooled[1, there] = found.eq.sum(axis=1)
        if ranks.own_gt is None:  # a language's ranking is a part of the pooled one
            each, column = np.arange(len(there)), candidate_columns(data)[found.lists.positions]
            own[:, there] = found.gt[each, column], found.eq[each, column]
    variants = Variants(data, separate=True)
    variants.take_counts((pooled[0], pooled[1]), (own[0], own[1]))
    return variants.rules(ranks)


def _read(data: TaskData, setting: str, path: Path, peer: PytrecEval, progress: Progress) -> SettingCounts:
    lists = task_lists(data, setting)
    checked = np.ones(len(lists), dtype=bool)
    if len(lists) > MAX_CHECKED:
        chosen = np.random.default_rng(CHECK_SEED).choice(len(lists), MAX_CHECKED, replace=False)
        checked[:] = False
        checked[chosen] = True
    done = 0

    def tell(complete: int) -> None:
        nonlocal done
        progress.advance(complete - done)
        done = complete

    with told(progress, setting, len(lists)):
        return RunReader(path, data, lists, peer, checked).read(tell)


def _refuse_cut(metrics: Sequence[str], counts: Mapping[str, SettingCounts]) -> None:
    for setting, found in counts.items():
        for metric in metrics:
            _, at, cutoff = metric.partition("@")
            if at and found.cut is not None and found.cut < int(cutoff):
                fitting = [name for name in metrics if "@" not in name or int(name.partition("@")[2]) <= found.cut]
                raise RunError(
                    f"{metric} cannot be computed: the {setting} run is cut at {found.cut}",
                    remedy=f"rank at least {cutoff} candidates a query, or choose other metrics: "
                    f"--metrics {','.join(fitting) or 'map'}",
                )


def _summary(found: Sequence[Agreement]) -> dict[str, dict[str, float]]:
    settings = dict.fromkeys(item.setting for item in found)
    return {
        setting: {
            "lists": max(item.lists for item in found if item.setting == setting),
            "tied": max(item.tied for item in found if item.setting == setting),
            "greatest_difference": max(item.difference for item in found if item.setting == setting),
        }
        for setting in settings
    }


def _warnings(counts: Mapping[str, SettingCounts]) -> list[str]:
    lines = []
    for setting, found in counts.items():
        if found.missing:
            lines.append(f"{setting}: {found.missing:,} of {len(found.lists):,} lists are not in the run; they score 0")
        if found.cut is not None:
            lines.append(
                f"{setting}: the run is cut at {found.cut:,}; a relevant below has no rank and counts 0, so that map "
                "and mrr come out lower than at full depth"
            )
        if found.unjudged:
            lines.append(
                f"{setting}: {found.unjudged:,} lists of the run have no relevant candidate; they are left out"
            )
        if found.merged:
            lines.append(
                f"{setting}: {found.merged:,} neighbouring candidates have scores that differ only beyond a 32-bit "
                "float, in which trec_eval reads scores; they tie"
            )
    return lines
