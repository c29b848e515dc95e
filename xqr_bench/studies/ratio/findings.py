"""A folder of runs -> `ratios.json`: what docs/ratio-study-plan.md promises to report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xqr_bench import __version__
from xqr_bench.board.row import study_command
from xqr_bench.board.submissions import load_published
from xqr_bench.core.errors import DataError, RecordError, UnknownNameError, UsageError
from xqr_bench.core.files import sha256_of
from xqr_bench.core.types import MULTILINGUAL
from xqr_bench.measure.resampling import RESAMPLES
from xqr_bench.record import load_record
from xqr_bench.studies.ratio import form
from xqr_bench.studies.ratio.claims import (
    CROSS,
    HYBRID,
    MONO,
    NO_LANGUAGE,
    Published,
    centring,
    chosen_scores,
    claims,
    controls,
    defined,
    joshi_class,
    language_effects,
    language_name,
    query_languages,
    score_figures,
)
from xqr_bench.studies.ratio.design import (
    PRIMARY,
    STUDY,
    Condition,
    alpha_of,
    conditions_of,
    run_of,
)
from xqr_bench.studies.ratio.form import TUNING_FILE
from xqr_bench.studies.ratio.results import LEVELS, Results, languages_of, load_results, shared_questions
from xqr_bench.studies.ratio.run import DONE, files_of_runs, read_object, read_run
from xqr_bench.studies.ratio.scoring import CENTRED, RAW, record_of
from xqr_bench.studies.ratio.statistics import (
    LEVEL,
    MARGIN,
    MULTI,
    Replicates,
    primary_scores,
    primary_tests,
    replicate,
)
from xqr_bench.studies.ratio.study_file import StudyFile, built_in
from xqr_bench.studies.ratio.sweep import read_study
from xqr_bench.tasks import load_task
from xqr_bench.train import STATIC

# The runs that go to the leaderboard: of each main arm the seed of median multilingual MAP.

MAIN_ARMS = ("alpha-0", "alpha-0.5", "alpha-1", "aligned")
GIVEN_ARMS = ("alpha-0", "alpha-0.5", "alpha-1", "untrained")


def median_seed(values: np.ndarray) -> int:
    """Place of the median, float64 `[seeds]`; of an even number the lower of the two in the middle; ties: the first."""
    order = np.argsort(values, kind="stable")
    return int(order[(len(values) - 1) // 2])


def medians(
    folder: Path, condition: Condition, scores: Replicates, seeds: tuple[int, ...], study: StudyFile
) -> list[form.MedianSeed]:
    """One run for each main arm that is there, with the command that makes its record again; none with folds.

    In a study of one's own every arm is one.
    """
    made = []
    arms: tuple[str, ...] = GIVEN_ARMS if condition.given else MAIN_ARMS
    if study.path is not None:
        arms = tuple(arm for arm in scores.arms if study.arm(arm).half_of is None)
    for arm in arms if not condition.folds else ():
        if arm in scores.arms:
            values = scores.by_seed[scores.place(MULTI, arm)]
            place = median_seed(values)
            run = run_of(condition, study.arm(arm), seeds[place], None)
            path = record_of(run, Path())
            made.append(
                form.MedianSeed(
                    arm=arm,
                    seed=run.seed,
                    value=float(values[place]),
                    median=float(np.median(values)),
                    record=path.as_posix(),
                    command=study_command(load_record(folder / path)) or "",
                )
            )
    return made


# A folder of runs -> `ratios.json`.

_VIEWS: tuple[Literal["raw", "centred"], ...] = (RAW, CENTRED)


@dataclass(frozen=True)
class Asked:
    """What is made of a folder.

    Attributes:
        folder: of the sweep.
        plan: the file of the study's plan as it is now.
        seed: of all draws; the same draws for every checkpoint, raw and centred.
        resamples: of the two-way bootstrap.
        conditions: which; empty: all that the folder has.
        arms: which, so that seeds count which the others do not have; empty: all that the folder has.
        published: file of the paper's figures; None: they are left out.
        data_dir: folder with the data files.
        say: called with what is done next.
        study: that the folder is of.
    """

    folder: Path
    plan: Path
    seed: int = 0
    resamples: int = RESAMPLES
    conditions: Sequence[str] = ()
    arms: Sequence[str] = ()
    published: Path | None = None
    data_dir: Path | str | None = None
    say: Callable[[str], None] = lambda text: None
    study: StudyFile = field(default_factory=built_in)


def build_ratios(asked: Asked) -> form.Ratios:
    """Compute everything that the plan promises to report.

    Raises:
        RecordError: the folder is not of a sweep, or no condition has a seed that all its arms have.
        UsageError: the plan is not there, or too few resamples.
        UnknownNameError: no such condition, or no such arm.
    """
    if asked.resamples < 100:
        raise UsageError(f"{asked.resamples} resamples are too few for intervals", remedy="use 100 or more")
    if not asked.plan.is_file():
        raise UsageError(f"there is no plan {asked.plan}", remedy="name the study's plan with --plan FILE")
    about, study = read_study(asked.folder), asked.study
    if about.get("study", STUDY) != study.name:
        raise UsageError(
            f"{asked.folder} is of the study {about.get('study', STUDY)}, not of {study.name}",
            remedy="give the file that its sweep was made from: --study FILE.toml",
        )
    for name in asked.conditions:
        if name not in study.conditions:
            raise UnknownNameError("condition", name, study.conditions)
    tuning = _tuning(asked.folder)
    names = list(asked.conditions) or conditions_of(asked.folder, study.conditions)
    _refuse_arms(asked, names)
    checkpoints, base = about["numbers"]["checkpoints"], about["numbers"]["base"]
    base = Path(base).name if Path(base).is_absolute() else base  # figures are shared: no folders of this machine
    made, missing = [], []
    for name in names:
        try:
            made.append(_condition(asked, study.conditions[name], checkpoints, base))
        except RecordError as error:
            if asked.conditions or len(names) == 1:
                raise
            missing.append(f"{name}: {error.problem}" + (f" ({error.found})" if error.found else ""))
    if not made:
        raise RecordError(
            f"{asked.folder} has no condition to report",
            found="; ".join(missing) or "no runs",
            remedy=study.command(asked.folder),
        )
    return form.Ratios(
        study=study.name,
        plan=sha256_of(asked.plan),
        seed=asked.seed,
        resamples=asked.resamples,
        level=LEVEL,
        margin=MARGIN,
        numbers={**about["numbers"], "base": base},
        chosen_by=about["chosen_by"],
        tuning=tuning,
        code_version=__version__,
        conditions=made,
        missing=missing,
    )


def _refuse_arms(asked: Asked, conditions: Sequence[str]) -> None:
    """Check that there are runs of each arm that is asked for, which else would be left out without a word."""
    for name in asked.arms:
        if name not in asked.study.arms and alpha_of(name) is None:
            raise UnknownNameError("arm", name, asked.study.arms)
        arm = asked.study.arm(name)
        if not any((asked.folder / one / (arm.half_of or name)).is_dir() for one in conditions):
            there = sorted({path.name for one in conditions for path in (asked.folder / one).glob("*/")})
            raise RecordError(
                f"{asked.folder} has no runs of the arm {name}",
                found=", ".join(there) or "no runs",
                remedy=f"leave it out, or make them: {asked.study.command(asked.folder)} --arm {name}",
            )


def _condition(asked: Asked, condition: Condition, checkpoints: Sequence[int], base: str) -> form.Condition:
    folder = asked.folder
    load = partial(load_results, folder, condition, among=asked.arms, study=asked.study)
    primary = load()
    levels = _levels(condition, primary, base)
    views: list[form.View] = []
    replicates: dict[str, Replicates] = {}
    for percent in checkpoints:
        for view in _VIEWS:
            asked.say(f"{condition.name}: {view}, {percent}% of the updates")
            results = primary
            if (view, percent) != (RAW, PRIMARY):
                results = load(view=view, percent=percent)
            if results.seeds != primary.seeds:
                raise RecordError(f"{folder} changed while it was read", remedy="wait for the sweep, or try again")
            shown, drawn = _view(asked, condition, results, view, percent, detailed=percent == PRIMARY)
            views.append(shown)
            if percent == PRIMARY:
                replicates[view] = drawn
    missing = []
    without, n_shared = None, None
    if condition.name in form.PRIMARY_CONDITIONS:
        try:
            shared = shared_questions(
                *(load_task(name, data_dir=asked.data_dir) for name in (condition.evaluate, condition.train))
            )
        except DataError as error:
            missing.append(f"the figures without shared articles and paragraphs: {error.problem}")
        else:
            asked.say(f"{condition.name}: without {len(shared)} questions of shared articles and paragraphs")
            n_shared = len(shared)
            # ranks take seconds a run to read: only the arms of the primary tests
            results = load(leave_out=shared, only=(CROSS, HYBRID, MONO))
            without, _ = _view(asked, condition, results, RAW, PRIMARY, detailed=False)
    published, source = _published(asked.published, condition.evaluate)
    if source is None and asked.published is not None:
        missing.append(f"{asked.published.name} has no figures of {condition.evaluate} by language")
    of_primary: dict[str, Any] = {}
    if replicates:
        raw = replicates[RAW]
        of_primary = {
            "centring": centring(raw, replicates[CENTRED]),
            "by_language": language_effects(raw, levels, published),
            "medians": medians(folder, condition, raw, primary.seeds, asked.study),
        }
    plans = Counter(read_run(path)["run_group"]["plan"] for path in files_of_runs(folder / condition.name, DONE))
    return form.Condition(
        name=condition.name,
        about=_about(condition, base),
        train=condition.train,
        evaluate=condition.evaluate,
        seeds=list(primary.seeds),
        left_out=primary.left_out,
        excluded=primary.excluded,
        plans=dict(sorted(plans.items())),
        articles=primary.sums.shape[-1],
        arms=[
            form.ArmInfo(name=name, about=asked.study.arm(name).about, alpha=alpha_of(name)) for name in primary.arms
        ],
        languages=[
            form.LanguageInfo(code=code, name=language_name(code), level=level, joshi=joshi_class(code))
            for code, level in levels.items()
        ],
        views=views,
        without_shared=without,
        shared_questions=n_shared,
        published_source=source,
        missing=missing,
        **of_primary,
    )


def _view(
    asked: Asked,
    condition: Condition,
    results: Results,
    view: Literal["raw", "centred"],
    percent: int,
    *,
    detailed: bool,
) -> tuple[form.View, Replicates]:
    keys = chosen_scores(results, detailed=detailed)
    tested_scores = primary_scores(results, own_language=condition.own_language)
    primary = {name: rows for name, rows in tested_scores.items() if rows}
    if not primary:
        raise RecordError(f"the condition has {NO_LANGUAGE}", found=", ".join(results.excluded), remedy="train longer")
    chosen = {**primary, **{key.text: rows for key, rows in keys.items()}}
    scores = replicate(results, chosen, np.random.default_rng(asked.seed), asked.resamples)
    absent = [arm for arm in (CROSS, HYBRID, MONO) if arm not in scores.arms]
    undefined = [name for name in chosen if not defined(scores, name)]
    missing = [f"{name}: a resample has no value" for name in undefined]
    tested: list[form.Hypothesis] = []
    if absent and asked.study.path is not None:
        pass  # a study of one's own need not be about the ratio
    elif absent:
        missing.append(f"the tests: no results of {', '.join(absent)}")
    elif undefined:
        missing.append("the tests: a score is undefined")
    else:
        tested = primary_tests(scores)
        if not any(one.name == "H2" for one in tested):
            missing.append("H2: all query languages have the same level")
    shown = form.View(
        view=view,
        percent=percent,
        scores=score_figures(scores, keys),
        tests=tested,
        # a study of one's own that has no such arms is not about the paper's claims
        claims=[] if undefined or (absent and asked.study.path is not None) else claims(scores),
        controls=controls(scores),
        missing=missing,
    )
    return shown, scores


class _Tuning(form.Tuning, extra="ignore"):
    """The file of a choice holds more than is reported."""


def _tuning(folder: Path) -> form.Tuning | None:
    if not (folder / TUNING_FILE).is_file():
        return None
    remedy = f"remove it and choose again: xqr-bench sweep --output {folder} --tune"
    values = read_object(folder / TUNING_FILE, _Tuning, remedy)
    return form.Tuning(**{name: values[name] for name in form.Tuning.model_fields})


def _levels(condition: Condition, results: Results, base: str) -> dict[str, str]:
    """Query language -> its level in words; what an initial model from elsewhere has seen is not known."""
    levels: dict[str, set[str]] = {code: set() for code in query_languages(results)}
    for row, level in zip(results.rows, results.levels, strict=True):
        levels[languages_of(row)[0]].add(level)
    if condition.aligned and condition.bitext:
        other = "aligned only"
    elif base != STATIC:
        other = LEVELS[1]
    else:
        other = "untouched but for the vocabulary" if condition.bitext else "untouched"
    words = {LEVELS[0]: LEVELS[0], LEVELS[1]: other}
    return {code: " and ".join(words[level] for level in LEVELS if level in of) for code, of in levels.items()}


def _about(condition: Condition, base: str) -> str:
    begin = "random initial model" if base == STATIC else f"initial model {base}"
    if condition.aligned and condition.bitext:
        begin = "aligned initial model" if base == STATIC else f"{begin}, aligned"
    folds = f", {condition.folds} folds over the articles" if condition.folds else ""
    held = ", languages held out by rotation" if condition.held_out else ""
    return f"trained on {condition.train}, evaluated on {condition.evaluate}, {begin}{folds}{held}"


def _published(path: Path | None, task: str) -> tuple[Published, str | None]:
    """Multilingual MAP of a paper by language: hybrid minus x-y, hybrid minus x-x-mono; and the paper."""
    if path is None:
        return {}, None
    source = load_published(path)
    values: dict[str, dict[str, dict[str, float]]] = {}
    for row in source.rows:
        figure = row.scores.get(MULTILINGUAL, {}).get("map")
        if row.task == task and figure is not None:
            values.setdefault(row.model, {})[row.variant] = figure.by_query_language
    effects: dict[str, dict[str, tuple[float, float]]] = {}
    for name, of in values.items():
        if {"hybrid", "x-y", "x-x-mono"} <= of.keys():
            for code in of["hybrid"]:
                if code in of["x-y"] and code in of["x-x-mono"]:
                    hybrid, cross, mono = (of[variant][code] for variant in ("hybrid", "x-y", "x-x-mono"))
                    effects.setdefault(code, {})[name] = (hybrid - cross, hybrid - mono)
    return effects, source.source.citation if effects else None
