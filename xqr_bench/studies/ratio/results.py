"""A folder of runs -> sums by setting cell and article, for all arms and seeds of a condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xqr_bench.core.errors import RecordError, UsageError, XqrBenchError
from xqr_bench.core.files import sha256_of
from xqr_bench.core.types import FloatArray, TaskData
from xqr_bench.evaluation.evaluate import refuse_another
from xqr_bench.record import load_record
from xqr_bench.record.describe import LEAST_DISTINCT
from xqr_bench.record.exposure_search import find_texts, units
from xqr_bench.studies.ratio.design import (
    PRIMARY,
    Arm,
    Condition,
    Run,
    alpha_of,
    run_of,
)
from xqr_bench.studies.ratio.form import TRAINED
from xqr_bench.studies.ratio.run import DONE, FAILED, design_pairs, read_run
from xqr_bench.studies.ratio.scoring import RAW, compact, load_compact, record_of
from xqr_bench.studies.ratio.study_file import StudyFile, built_in
from xqr_bench.tasks import resolve_task
from xqr_bench.train.data import load_training_data

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
        *(candidate.context or candidate.text for candidate in trained.candidates),
    ]
    findings = find_texts(evaluated, dict.fromkeys(texts)).found
    paragraphs = {finding.id for finding in findings if finding.kind == "paragraph"}
    reasons: dict[str, str] = {}
    for query, relevants in zip(evaluated.queries, evaluated.relevants, strict=True):
        for relevant in (evaluated.candidates[index] for index in relevants):
            if relevant.cluster in articles:
                reasons[query.question] = f"title: {evaluated.titles[relevant.cluster]}"
            elif relevant.group in paragraphs:
                reasons.setdefault(query.question, f"paragraph: {relevant.group}")
    return reasons


# A folder of runs -> sums by setting cell and article, for all arms and seeds of a condition.

_ANOTHER_DESIGN = "report with the study file that the runs were made from, or remove the run's folder and sweep again"
LEVELS = (TRAINED, f"not {TRAINED}")


def languages_of(row: str) -> list[str]:
    """Query and candidate language of a row; the query language alone in the multilingual setting."""
    return row.split("/")[2].split(">")


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
            languages = languages_of(row)
            if row.split("/")[:2] != [setting, metric] or level not in (None, self.levels[index]):
                continue
            if languages[0] == query or (query is None and not self.excluded.keys() & set(languages)):
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
    among: Collection[str] = (),
    study: StudyFile | None = None,
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
        among: arms that there are at all, which decides on the seeds; empty: all that have results.
        study: that the folder is of, with its conditions and arms; None: the built-in one.

    A seed counts when every arm that has results at all has results of it, so that seeds are paired.

    Raises:
        RecordError: there are none, or of another design than the study's, or a file that cannot be read.
        UsageError: `leave_out` where there are no ranks.
    """
    study = study or built_in()
    if isinstance(condition, str):
        condition = study.conditions[condition]
    if leave_out and (view != RAW or percent != PRIMARY or condition.folds):
        raise UsageError(
            "questions can be left out of the primary checkpoint only, raw and without folds",
            remedy=f"ask for {RAW} at {PRIMARY}%, or leave none out",
        )
    there = [arm for arm in _arms(folder, condition, study) if not among or arm.name in among]
    seeds_of = {arm: _seeds_of(folder, condition, arm) for arm in there}
    every = set().union(*seeds_of.values())
    # a given initial model without training is the same with every seed
    seeds_of |= {arm: every for arm, of in seeds_of.items() if of and _without_training(arm) and condition.given}
    # half of 25% of the updates is no checkpoint, nor that of others with --checkpoints; half of 100% has no ranks
    arms = [
        arm
        for arm, of in seeds_of.items()
        if of and not (arm.half_of and (leave_out or not _has_half(folder, condition, arm, percent)))
    ]
    seeds, left_out = [], {}
    for seed in sorted({seed for arm in arms for seed in seeds_of[arm]}):
        lacking = [arm.name for arm in arms if seed not in seeds_of[arm]]
        failed = [
            arm.name for arm in arms if any((folder / run.id / FAILED).is_file() for run in _runs(condition, arm, seed))
        ]
        if failed:
            left_out[seed] = f"the loss of {', '.join(failed)} was no number, twice"
        elif lacking:
            left_out[seed] = f"not run yet: {', '.join(lacking)}"
        else:
            seeds.append(seed)
    if not seeds:
        raise RecordError(
            f"{folder} has no seed of {condition.name} that all its arms have",
            found="; ".join(f"seed {seed}: {why}" for seed, why in left_out.items()) or "no run at all",
            remedy=study.command(folder, condition.name),
        )
    runs = [run for arm in arms for seed in seeds for run in _runs(condition, arm, seed)]
    done = [read_run(folder / run.id / DONE) for run in runs]
    for run, was in zip(runs, done, strict=True):
        refuse_another(folder / run.id / DONE, design_pairs(run, was), _ANOTHER_DESIGN)
    arms = [arm for arm in arms if only is None or arm.name in only]
    if not arms:
        raise RecordError(
            f"{folder} has none of the arms {', '.join(only or ())}", remedy="xqr-bench sweep with these arms"
        )
    totals = [
        [_total(folder, _runs(condition, arm, seed), arm, view, percent, leave_out) for seed in seeds] for arm in arms
    ]
    levels = {row: level for of_arm in totals for _, of_run in of_arm for row, level in of_run.items()}
    _refuse_other_articles(folder, [of for of_arm in totals for total, _ in of_arm for of in total.values()])
    place = {row: index for index, row in enumerate(levels)}
    sums = np.zeros((len(arms), len(seeds), len(levels), next(iter(totals[0][0][0].values())).shape[1]))
    counts = np.zeros_like(sums)
    for a, of_arm in enumerate(totals):
        for s, (total, _) in enumerate(of_arm):
            for row, of_row in total.items():
                sums[a, s, place[row]], counts[a, s, place[row]] = of_row
    excluded = {
        code: one["id"]
        for one in done
        for code, share in one["distinct_query_vectors"].items()
        if share is not None and share < LEAST_DISTINCT
    }
    return Results(
        arms=tuple(arm.name for arm in arms),
        seeds=tuple(seeds),
        rows=tuple(levels),
        levels=tuple(levels.values()),
        sums=sums,
        counts=counts,
        excluded=excluded,
        left_out=left_out,
    )


def _arms(folder: Path, condition: Condition, study: StudyFile) -> list[Arm]:
    """The arms that a file chooses, in its order; then those of the study, and ratios that there are runs of."""
    names = {*study.arms, *(path.name for path in (folder / condition.name).glob("alpha-*"))}
    ratios = {name: alpha for name in names if (alpha := alpha_of(name)) is not None}
    ordered = dict.fromkeys((*study.chosen_arms, *sorted(ratios, key=ratios.__getitem__), *study.arms))
    return [study.arm(name) for name in ordered]


def _has_half(folder: Path, condition: Condition, arm: Arm, percent: int) -> bool:
    """Whether there is a checkpoint at half of these updates in a run that the arm is half of."""
    paths = (folder / condition.name / str(arm.half_of)).glob(f"seed-*/**/{_compact_name(percent // 2)}")
    return percent % 2 == 0 and any(paths)


def _compact_name(percent: int) -> str:
    return f"checkpoint-{percent:03d}.npz"


def _without_training(arm: Arm) -> bool:
    return arm.plan is None and arm.half_of is None


def _runs(condition: Condition, arm: Arm, seed: int) -> list[Run]:
    """The runs, one a fold, that hold the results of an arm."""
    return [run_of(condition, arm, seed, fold) for fold in condition.parts]


def _seeds_of(folder: Path, condition: Condition, arm: Arm) -> set[int]:
    """Seeds of which the arm has all results."""
    if arm.name == "aligned" and not condition.aligned:
        return set()  # the same as untrained
    paths = (folder / condition.name / (arm.half_of or arm.name)).glob("seed-*")
    seeds = [int(number) for path in paths if (number := path.name.removeprefix("seed-")).isdecimal()]
    return {seed for seed in seeds if all((folder / run.id / DONE).is_file() for run in _runs(condition, arm, seed))}


def _total(
    folder: Path, runs: Sequence[Run], arm: Arm, view: str, percent: int, leave_out: Collection[str]
) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Row -> sums and counts, float64 `[2, articles]`, of a run with its folds added up; and the level of each row.

    A language's rows stand apart by level where it is trained in some folds only.
    """
    at = percent // 2 if arm.half_of else percent
    parts: dict[str, list[FloatArray]] = {}
    levels: dict[str, str] = {}
    for run in runs:
        path = folder / run.id / _compact_name(0 if run.arm.plan is None else at)
        if not path.is_file():
            raise RecordError(
                f"{arm.name} has no results at {percent}% of the updates", remedy="ask for another checkpoint"
            )
        _check_digest(path)
        views, about = load_compact(path)
        part = views[view]
        if leave_out:
            record = record_of(run, folder)
            _check_digest(record)
            ranks = load_record(record, ranks=True).ranks
            part = compact(ranks, np.asarray(ranks.articles), part.sums.shape[1], leave_out)
        trained = about["trained"]
        if not trained:  # an arm without training: what the others are trained on
            trained = about.get("trainable") or _trainable(run)
        for row, sums, counts in zip(part.rows, part.sums, part.counts, strict=True):
            level = LEVELS[languages_of(row)[0] not in trained]
            name = f"{row}/{level}" if run.condition.held_out else row
            levels[name] = level
            parts.setdefault(name, []).append(np.stack([sums, counts]))
    _refuse_other_articles(folder, [part for of_row in parts.values() for part in of_row])
    return {name: np.sum(of_row, axis=0) for name, of_row in parts.items()}, levels


def _trainable(run: Run) -> list[str]:
    """Languages of the training data, which an earlier version did not write down."""
    source, out = run.condition.train, run.condition.languages_out(run.seed, run.fold)
    try:
        languages = resolve_task(source).languages
    except XqrBenchError:  # a file or a folder
        languages = load_training_data(source).languages
    return [code for code in languages if code not in out]


def _refuse_other_articles(folder: Path, results: Sequence[FloatArray]) -> None:
    """Results whose columns are not the same articles cannot be added or compared."""
    if len({of_row.shape for of_row in results}) > 1:
        raise RecordError(
            f"the runs in {folder} are of tasks with different articles",
            remedy="remove the runs of other data and sweep again",
        )


def _check_digest(path: Path) -> None:
    """The file is the one that its run wrote: `run.json` beside it holds its SHA-256.

    Raises:
        RecordError: it is not.
    """
    stated, found = read_run(path.with_name(DONE))["files"].get(path.name), sha256_of(path)
    if stated != found:
        raise RecordError(
            f"{path} is not the file that its run wrote",
            found=f"SHA-256 {found[:12]}…, {DONE} says {stated and stated[:12]}…",
            remedy="get the run's folder again, or remove it and sweep again",
        )
