"""A folder of runs -> sums by setting cell and article, for all arms and seeds of a condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.types import FloatArray, TaskData
from xqr_bench.record import load_record
from xqr_bench.record.describe import LEAST_DISTINCT
from xqr_bench.record.exposure_search import find_texts, units
from xqr_bench.studies.ratio.design import ARMS, CONDITIONS, PRIMARY, Arm, Condition, Run
from xqr_bench.studies.ratio.run import DONE, FAILED, read_done
from xqr_bench.studies.ratio.scoring import RAW, Compact, compact, load_compact

# What two tasks share, so that figures can be given once more without it.


def shared_questions(evaluated: TaskData, trained: TaskData) -> dict[str, str]:
    """Questions of articles with a title that the other task has too, and of paragraphs that touch its text.

    A paragraph touches the other task where `find_texts` finds it: whole, nearly, or by a run of eight words. A
    question goes with all its translations.

    Args:
        evaluated: whose questions are looked for.
        trained: the other task: its titles, questions and paragraphs.

    Returns:
        question id -> why.
    """
    titles = {tuple(units(title)) for title in trained.titles.values()}
    articles = {place for place, title in evaluated.titles.items() if tuple(units(title)) in titles}
    texts = [
        *(query.text for query in trained.queries),
        *(found.context or found.text for found in trained.candidates),
    ]
    findings = find_texts(evaluated, dict.fromkeys(texts))
    paragraphs = {found.id for found in findings.found if found.kind == "paragraph"}
    reasons: dict[str, str] = {}
    for query, relevants in zip(evaluated.queries, evaluated.relevants, strict=True):
        for index in relevants:
            relevant = evaluated.candidates[index]
            if relevant.cluster in articles:
                reasons[query.question] = f"title: {evaluated.titles[relevant.cluster]}"
            elif relevant.group in paragraphs:
                reasons.setdefault(query.question, f"paragraph: {relevant.group}")
    return reasons


# A folder of runs -> sums by setting cell and article, for all arms and seeds of a condition.

LEVELS = ("retrieval-trained", "not retrieval-trained")


@dataclass(frozen=True)
class Results:
    """One view of one checkpoint of a condition.

    Attributes:
        arms: names, `[arms]`.
        seeds: those that every arm has, `[seeds]`.
        rows: `setting/metric/cell`; where languages are held out by rotation `.../cell/level` instead.
        levels: of each row its query language's level (`LEVELS`).
        sums: float64 `[arms, seeds, rows, articles]`.
        counts: float64 `[arms, seeds, rows, articles]`; the same in all arms.
        excluded: languages left out of `family`, with the arm that cannot represent them.
        left_out: seed -> why it is not among `seeds`.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    levels: tuple[str, ...]
    sums: FloatArray
    counts: FloatArray
    excluded: dict[str, str]
    left_out: dict[int, str]

    def family(
        self, setting: str, metric: str = "map", *, level: str | None = None, query: str | None = None
    ) -> list[int]:
        """Rows of a setting and metric; of excluded languages only if asked for by `query`.

        Args:
            setting, metric: as in rows.
            level: only query languages of this level.
            query: only this query language.
        """
        chosen = []
        for index, row in enumerate(self.rows):
            parts = row.split("/")
            pair = parts[2].split(">")
            if parts[:2] != [setting, metric] or (level is not None and self.levels[index] != level):
                continue
            if pair[0] == query or (query is None and not self.excluded.keys() & set(pair)):
                chosen.append(index)
        return chosen


def load_results(
    folder: Path,
    condition: str | Condition,
    *,
    view: str = RAW,
    percent: int = PRIMARY,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Results:
    """Read the results of a condition.

    Args:
        folder: of the sweep.
        condition: which.
        view: "raw" or "centred".
        percent: the checkpoint.
        leave_out: question ids to do without (`shared_questions`): counted anew from the ranks of the records, which
            only the primary checkpoint has, raw and without folds.
        only: arms to read; None: all. The seeds are the same.

    A seed counts when every arm that has results at all has results of it, so that seeds are paired.

    Raises:
        RecordError: there are none, or a file that cannot be read.
        UsageError: `leave_out` where there are no ranks.
    """
    found = CONDITIONS[condition] if isinstance(condition, str) else condition
    if leave_out and (view != RAW or percent != PRIMARY or found.folds):
        raise UsageError(
            "questions can be left out of the primary checkpoint only, raw and without folds",
            remedy=f"ask for {RAW} at {PRIMARY}%, or leave none out",
        )
    # half of 25% of the updates is no checkpoint, and half of 100% has no ranks
    arms = [
        arm
        for arm in ARMS.values()
        if not (arm.half_of and (percent % 2 or leave_out)) and _runs_of(folder, found, arm)
    ]
    everywhere = {arm.name: _runs_of(folder, found, arm) for arm in arms}
    known = sorted(set().union(*everywhere.values())) if everywhere else []
    left_out = {}
    for seed in known:
        lacking = [arm.name for arm in arms if seed not in everywhere[arm.name]]
        failed = [arm.name for arm in arms if _failed(folder, found, arm, seed)]
        if failed or lacking:
            names = ", ".join(failed or lacking)
            left_out[seed] = f"the loss of {names} was no number, twice" if failed else f"not run yet: {names}"
    seeds = [seed for seed in known if seed not in left_out]
    if not seeds:
        raise RecordError(
            f"{folder} has no seed of {found.name} that all its arms have",
            found="; ".join(f"seed {seed}: {why}" for seed, why in left_out.items()) or "no run at all",
            remedy=f"xqr-bench sweep --output {folder} --condition {found.name}",
        )
    done = [read_done(run, folder) for arm in arms for seed in seeds for run in _runs(found, arm, seed)]
    arms = [arm for arm in arms if only is None or arm.name in only]
    if not arms:
        raise RecordError(
            f"{folder} has none of the arms {', '.join(only or ())}", remedy="xqr-bench sweep with these arms"
        )
    merged = [[_merged(folder, found, arm, seed, view, percent, leave_out) for seed in seeds] for arm in arms]
    rows = list(dict.fromkeys(row for per_seed in merged for one in per_seed for row in one[0].rows))
    place = {row: index for index, row in enumerate(rows)}
    n_articles = merged[0][0][0].sums.shape[1]
    sums = np.zeros((len(arms), len(seeds), len(rows), n_articles))
    counts = np.zeros_like(sums)
    levels: dict[str, str] = {}
    for a, per_seed in enumerate(merged):
        for s, (one, of_row) in enumerate(per_seed):
            at = [place[row] for row in one.rows]
            sums[a, s, at], counts[a, s, at] = one.sums, one.counts
            levels.update(of_row)
    excluded = {
        code: one["id"]
        for one in done
        for code, share in one["distinct_query_vectors"].items()
        if share is not None and share < LEAST_DISTINCT
    }
    return Results(
        arms=tuple(arm.name for arm in arms),
        seeds=tuple(seeds),
        rows=tuple(rows),
        levels=tuple(levels[row] for row in rows),
        sums=sums,
        counts=counts,
        excluded=excluded,
        left_out=left_out,
    )


def _source(condition: Condition, arm: Arm) -> Arm:
    """The arm whose runs hold the results of this one."""
    if arm.half_of is not None:
        return ARMS[arm.half_of]
    return ARMS["untrained"] if arm.name == "aligned" and not condition.aligned else arm


def _runs(condition: Condition, arm: Arm, seed: int) -> list[Run]:
    return [Run(condition, _source(condition, arm), seed, fold) for fold in condition.parts]


def _runs_of(folder: Path, condition: Condition, arm: Arm) -> set[int]:
    """Seeds of which the arm has all results."""
    if arm.name == "aligned" and not condition.aligned:
        return set()  # the same as untrained
    base = folder / condition.name / _source(condition, arm).name
    seeds = [int(path.name.removeprefix("seed-")) for path in base.glob("seed-*")]
    return {seed for seed in seeds if all((folder / run.id / DONE).is_file() for run in _runs(condition, arm, seed))}


def _failed(folder: Path, condition: Condition, arm: Arm, seed: int) -> bool:
    return any((folder / run.id / FAILED).is_file() for run in _runs(condition, arm, seed))


def _merged(
    folder: Path, condition: Condition, arm: Arm, seed: int, view: str, percent: int, leave_out: Collection[str]
) -> tuple[Compact, dict[str, str]]:
    """The results of a run, all its folds together, and the level of each row."""
    trained_arm = _source(condition, arm).plan is not None
    at = (percent // 2 if arm.half_of else percent) if trained_arm else 0
    parts = []
    for run in _runs(condition, arm, seed):
        path = folder / run.id / f"checkpoint-{at:03d}.npz"
        if not path.is_file():
            raise RecordError(
                f"{arm.name} has no results at {percent}% of the updates", remedy="ask for another checkpoint"
            )
        views, about = load_compact(path)
        if leave_out:
            record = load_record(folder / run.id / f"{condition.evaluate}.json", ranks=True)
            n_articles = views[view].sums.shape[1]
            views = {view: compact(record.ranks, np.asarray(record.ranks.articles), n_articles, leave_out)}
        out = condition.languages_out(seed, run.fold)
        parts.append((views[view], _trained(condition, about, out)))
    return _added(parts, by_level=bool(condition.held_out))


def _trained(condition: Condition, about: dict[str, Any], out: Sequence[str]) -> set[str]:
    """Languages that the trained arms of this run are trained on, also for an arm without training."""
    from xqr_bench.tasks import resolve_task

    known = about["trained"] or [code for code in resolve_task(condition.train).languages if code not in out]
    return set(known)


def _added(parts: Sequence[tuple[Compact, set[str]]], *, by_level: bool) -> tuple[Compact, dict[str, str]]:
    """Folds added up; a language's rows apart by level where it is trained in some folds only."""
    total: dict[str, tuple[FloatArray, FloatArray]] = {}
    levels: dict[str, str] = {}
    for found, trained in parts:
        for index, row in enumerate(found.rows):
            query = row.rsplit("/", 1)[1].split(">")[0]
            level = LEVELS[0] if query in trained else LEVELS[1]
            name = f"{row}/{level}" if by_level else row
            levels[name] = level
            sums, counts = total.get(name, (0.0, 0.0))
            total[name] = (sums + found.sums[index], counts + found.counts[index].astype(np.float64))
    rows = tuple(total)
    sums, counts = (np.stack([total[row][k] for row in rows]) for k in (0, 1))
    return Compact(rows, sums, counts), levels  # type: ignore[arg-type]
