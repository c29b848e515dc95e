"""Remedies of language bias: what each transform of an encoder's vectors, or each further training, buys and costs.

remedies(paths)   one `Curves` for each encoder and task
held_out(curves)  each remedy's strength chosen on one task, looked at on another
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.analysis.asked import check_seed
from xqr_bench.analysis.compared import unlike
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC, MONOLINGUAL, MULTILINGUAL, PREFERENCE
from xqr_bench.encode.transform import NAMES, TransformOptions
from xqr_bench.measure.certainty import MACRO, Figures, figures_of
from xqr_bench.measure.linear import article_intervals, linearise, question_intervals
from xqr_bench.measure.panel import Units, sampling_units, shared_units
from xqr_bench.measure.resampling import bootstrap
from xqr_bench.measure.scores import Interval, all_per_query
from xqr_bench.record import Record, load_record, record_files
from xqr_bench.record.provenance import TrainingRecord

UNTOUCHED = "untouched"
DISTANCE = "rank_distance"
FIGURES = {
    "monolingual_map": (MONOLINGUAL, MAIN_METRIC),
    "multilingual_map": (MULTILINGUAL, MAIN_METRIC),
    "own_first": (MULTILINGUAL, PREFERENCE),
    "rank_distance": (MULTILINGUAL, DISTANCE),
}
_ORDER = [TransformOptions(name).kind for name in NAMES[1:]]


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Values):
    """A figure of a remedy beside that of the untouched vectors."""

    value: float
    difference: float = Field(description="minus the untouched one's")
    interval: Interval | None = Field(description="of the difference, by question; none where it cannot be computed")
    article_interval: Interval | None


class Dose(_Values):
    """A remedy at one strength."""

    label: str = Field(description="the transform: center@0.5; the training: lakda, a 0.5; untouched")
    remedy: str = Field(
        description="its points are joined: center; remove-K at any K; a loss and its data at any ratio and argument"
    )
    start: str = Field(
        default=UNTOUCHED, description="where its curve begins: untouched; for another loss InfoNCE on the same batches"
    )
    record: str = Field(description="the name of the record")
    monolingual_map: Change
    multilingual_map: Change
    own_first: Change = Field(description="own-language first, multilingual")
    rank_distance: Change = Field(description="multilingual")
    lost: float | None = Field(
        description="the share of cross-lingual MAP that multilingual MAP does not reach; none: a setting is missing"
    )


class Curves(_Values):
    """The remedies of one encoder on one task."""

    task: str
    title: str
    encoder: str = Field(description="the record of the untouched vectors")
    chance: float = Field(description="own-language first without preference")
    n_questions: int
    n_articles: int
    doses: tuple[Dose, ...] = Field(description="the untouched vectors, then by remedy and strength")

    def of(self, label: str) -> Dose | None:
        """The dose that is called so."""
        return next((dose for dose in self.doses if dose.label == label), None)

    def best(self, remedy: str) -> Dose | None:
        """The dose of a remedy with the highest multilingual MAP, of equal ones the first; None: it has none."""
        of_remedy = [dose for dose in self.doses if dose.remedy == remedy]
        return max(of_remedy, key=lambda dose: dose.multilingual_map.value, default=None)

    @property
    def remedies(self) -> list[str]:
        """Their names, in order, without the untouched vectors."""
        return list(dict.fromkeys(dose.remedy for dose in self.doses if dose.remedy != UNTOUCHED))


class HeldOut(_Values):
    """A remedy at the strength with the highest multilingual MAP on one task, looked at on another."""

    encoder: str
    remedy: str
    chosen_on: str = Field(description="title of the task")
    looked_at_on: str = Field(description="title of the task")
    dose: Dose = Field(description="as it is on the second task")
    best: Dose = Field(description="what would have been chosen on the second task")


class Remedies(_Values):
    """All that `xqr-bench remedies` finds."""

    curves: list[Curves]
    held_out: list[HeldOut]


@checked
def remedies(paths: Sequence[Path | str], *, seed: int = 0) -> list[Curves]:
    """What transforms and further trainings do, from records of an encoder untouched and with them.

    Args:
        paths: records with their ranks beside them, or folders of such. Encoders of which only one record is there are
            left aside, and so are those that differ in nothing that is a remedy.
        seed: of the resampled questions behind the intervals.

    Returns:
        one for each encoder and task, in the order of the records.

    Raises:
        UsageError: no record has a remedy, or the record of the same encoder untouched is not there, or there twice, or
            of other data; or one remedy is there twice, as with another seed; or one lacks a figure.
        RecordError: a record or its ranks cannot be read.
    """
    check_seed(seed)
    groups: dict[tuple[str, str], list[Record]] = {}
    for path in record_files(paths):
        record = load_record(path)
        groups.setdefault((record.task.name, _encoder(record)), []).append(record)
    several = [
        group
        for group in groups.values()
        if any(record.transform is not None for record in group) or len(set(map(_trained, group))) > 1
    ]
    if not several:
        raise UsageError(
            "no record is of transformed vectors, or of a training beside its untrained base",
            found=f"{sum(map(len, groups.values()))} records",
            remedy="make some: xqr-bench run docs/examples/frontier.toml, or evaluate --transform center",
        )
    return [_curves(group, seed) for group in several]


def held_out(curves: Sequence[Curves]) -> list[HeldOut]:
    """The strength of each remedy chosen by multilingual MAP on one task, and its figures on another.

    The best of several strengths on a task is chosen by looking at its answers; on another task it is not.
    """
    found = []
    for first, second in permutations(curves, 2):
        if first.encoder != second.encoder:
            continue
        for remedy in first.remedies:
            chosen, best = first.best(remedy), second.best(remedy)
            there = None if chosen is None else second.of(chosen.label)
            if there is None or best is None:
                continue  # the second task has no record of that strength
            found.append(
                HeldOut(
                    encoder=first.encoder,
                    remedy=remedy,
                    chosen_on=first.title,
                    looked_at_on=second.title,
                    dose=there,
                    best=best,
                )
            )
    return found


class _Trained(NamedTuple):
    """What a training was, but for its seed and its size.

    Attributes:
        loss: its name.
        data: what it was trained on.
        drawn: how its batches were drawn, but for the ratio.
        ratio: share of monolingual batches; -1: of a strategy without one.
        words, numbers: arguments of the loss.
    """

    loss: str
    data: str
    drawn: str
    ratio: float
    words: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, float], ...]


def _training(record: Record) -> TrainingRecord | None:
    """How it was trained; None: it was not, or by other code."""
    try:
        return None if record.training is None else TrainingRecord.model_validate(record.training)
    except ValidationError:
        return None


def _encoder(record: Record) -> str:
    """The same for all that was made of one encoder's vectors, or by training it further."""
    identity, done = record.model.identity, _training(record)
    if done is None:
        digest, known_by = identity.digest, [identity.name, identity.revision]
    else:  # whether `train` left a folder with a digest of its own, or a sweep scored the model in its training
        digest, known_by = done.base.digest, [done.base.name, done.base.revision, done.base.vocabulary_digest]
    origin = digest or " ".join(part for part in known_by if part is not None)
    rest = identity.model_dump_json(exclude={"name", "revision", "digest"})
    label = "" if record.quantization is None else record.quantization.label
    return f"{origin} {rest} {label} {record.index}"


_NO_TRAINING = _Trained("", "", "", -1.0, (), ())
_USUAL = {"mix": "batch", "turn": None, "shuffle_positives": False, "distinct_pairs": "all"}


def _trained(record: Record) -> _Trained:
    if record.training is None:
        return _NO_TRAINING
    done = _training(record)
    if done is None:  # made by other code: all that is known of it is the name of the record
        return _NO_TRAINING._replace(loss=record.model.name)
    if done.training is None:
        return _NO_TRAINING
    stage = done.training
    drawn = [stage.strategy] if done.ratio is None else []
    drawn += [f"{name} {stage.plan[name]}" for name, usual in _USUAL.items() if stage.plan.get(name, usual) != usual]
    given = {name: value for name, value in sorted(done.recipe.get("loss_args", {}).items()) if value is not None}
    numbers = {name: float(value) for name, value in given.items() if type(value) in (int, float)}
    return _Trained(
        done.recipe.get("loss", "infonce"),
        "+".join(part.name for part in stage.data),
        ", ".join(drawn),
        -1.0 if done.ratio is None else done.ratio,
        tuple((name, str(value)) for name, value in given.items() if name not in numbers),
        tuple(numbers.items()),
    )


class _Place(NamedTuple):
    """Where a transform stands among the others."""

    kind: int
    language: str
    source: str
    directions: int
    strength: float


def _place(record: Record) -> tuple[int, _Trained, _Place]:
    facts, trained = record.transform, _trained(record)
    loss = ("", "infonce", trained.loss).index(trained.loss)  # those without a training first, then with the usual loss
    if facts is None:
        return loss, trained, _Place(-1, "", "", 0, 0.0)
    options = TransformOptions(facts.name)
    source = "" if facts.bitext is None else facts.bitext.name
    kind = _ORDER.index(options.kind)
    place = _Place(kind, options.language or "", source, options.directions or 0, options.strength)
    return loss, trained, place


class _Names(NamedTuple):
    """Of a dose: what it is called, its remedy, and the dose that its curve begins at."""

    label: str
    remedy: str
    start: str


def _named(records: Sequence[Record]) -> list[_Names]:
    """The names of the doses; of a training they say what other trainings with its loss have otherwise."""
    trainings = [_trained(record) for record in records]

    def differing(one: _Trained, *, strengths: bool) -> list[str]:
        """What tells it from the others with its loss; without strengths: as a remedy, whatever its numbers are."""
        others = [other for other in trainings if other.loss == one.loss]
        by_ratio = not any(other.numbers for other in others)
        parts = [one.loss if len({other.data for other in others}) < 2 else f"{one.loss} on {one.data}"]
        parts += [one.drawn] * (len({other.drawn for other in others}) > 1 and one.drawn != "")
        if (strengths or not by_ratio) and one.ratio >= 0 and len({other.ratio for other in others}) > 1:
            parts.append(f"alpha {one.ratio:g}")
        for field in ("words", "numbers") if strengths else ("words",):
            for name, value in getattr(one, field):
                if len({dict(getattr(other, field)).get(name) for other in others}) > 1:
                    parts.append(f"{name} {value}" if isinstance(value, str) else f"{name} {value:g}")
        return parts

    names = []
    for record, one in zip(records, trainings, strict=True):
        label, remedy, start = "", "", UNTOUCHED
        if one is not _NO_TRAINING and len(set(trainings)) > 1:
            label, remedy = (", ".join(differing(one, strengths=strengths)) for strengths in (True, False))
            at_zero = one._replace(loss="infonce", words=(), numbers=())
            if one != at_zero and at_zero in trainings:
                start = ", ".join(differing(at_zero, strengths=True))
        if (facts := record.transform) is not None:
            name = facts.label.replace(facts.name, facts.name.partition("@")[0], 1)
            directions = TransformOptions(facts.name).directions
            start = label or UNTOUCHED
            remedy = " + ".join(
                [remedy] * (remedy != "") + [name if directions is None else name.replace(str(directions), "K", 1)]
            )
            label = " + ".join([label] * (label != "") + [facts.label])
        names.append(_Names(label or UNTOUCHED, remedy or UNTOUCHED, start))
    return names


def _curves(group: Sequence[Record], seed: int) -> Curves:
    ordered = sorted(group, key=_place)
    named = _named(ordered)
    plain = [record for record, names in zip(ordered, named, strict=True) if names.label == UNTOUCHED]
    if len(plain) != 1:
        some = next(record for record in group if record not in plain)
        raise UsageError(
            f"{some.model.name} on {some.task.name} has {'no' if not plain else 'more than one'} record of the same "
            "encoder untouched",
            found=", ".join(record.model.name for record in group),
            remedy="name one, without --transform and not trained further, beside those of the remedies",
        )
    (untouched,) = plain
    labels = [names.label for names in named]
    for label in labels:
        if labels.count(label) > 1:
            alike = [record for record, one in zip(ordered, labels, strict=True) if one == label]
            apart = _apart(alike)
            raise UsageError(
                f"{untouched.model.name} on {untouched.task.name} has two records of {label}",
                found=", ".join(record.model.name for record in alike) + f"; they differ in {apart}" * (apart != ""),
                remedy="name one of them, such as those of one seed; xqr-bench report ratios compares over seeds",
            )
    figures, units = [], []
    for record in ordered:
        if differing := unlike(untouched, record):
            raise UsageError(
                f"{untouched.model.name} and {record.model.name} cannot be compared: they differ in "
                + ", ".join(differing),
                remedy="evaluate one of them again, on the same task data",
            )
        of_record, of_units = _figures(record)
        figures.append(of_record)
        units.append(of_units)
    shared = shared_units(units)
    wanted = list(FIGURES.values())
    stream = np.random.Generator(np.random.PCG64(seed)).spawn(3)[2]  # that of `compare`: the same intervals
    drawn = bootstrap([of_record[name] for of_record in figures for name in wanted], stream)
    doses = []
    for place, (record, names) in enumerate(zip(ordered, named, strict=True)):
        changes: dict[str, Any] = {}
        for number, (field, name) in enumerate(FIGURES.items()):
            (before, contrasts), (after, _) = figures[0][name], figures[place][name]
            moved = linearise(after, contrasts, shared, minus=before)
            resampled = drawn.values[place * len(wanted) + number] - drawn.values[number]
            changes[field] = Change(
                value=float(contrasts.apply(after.estimate)[0]),
                difference=float(moved.estimate[0]),
                interval=question_intervals(resampled, moved, drawn.redrawn)[0] if place else None,
                article_interval=article_intervals(moved)[0] if place else None,
            )
        named_as: dict[str, Any] = names._asdict()
        doses.append(Dose(**named_as, **changes, record=record.model.name, lost=_lost(record)))
    score = untouched.scores[MULTILINGUAL].macro[PREFERENCE]
    return Curves(
        task=untouched.task.name,
        title=untouched.task.title,
        encoder=untouched.model.name,
        chance=score.random_reference or 0.0,
        n_questions=shared.n_questions,
        n_articles=shared.n_articles,
        doses=tuple(doses),
    )


def _apart(records: Sequence[Record]) -> str:
    """What trainings of one remedy and strength have otherwise, such as the seed."""
    given = [record.training or {} for record in records]
    recipes = [one["recipe"] if isinstance(one.get("recipe"), dict) else {} for one in given]
    values = [{**recipe, "seed": one.get("seed")} for one, recipe in zip(given, recipes, strict=True)]
    return ", ".join(name for name in values[0] if any(one.get(name) != values[0][name] for one in values))


def _figures(record: Record) -> tuple[Figures, Units]:
    """The panels of the figures of a record, and its units; its ranks are let go."""
    ranks = record.with_ranks().ranks
    units = sampling_units(ranks)
    settings = [name for name in (MONOLINGUAL, MULTILINGUAL) if name in record.task.settings]
    metrics = [name for name in (MAIN_METRIC, PREFERENCE, DISTANCE) if name in record.task.metrics]
    values = all_per_query(ranks, metrics, settings)
    found: Figures = figures_of(values, units, parts=(MACRO,))
    for setting, metric in FIGURES.values():
        if (setting, metric) not in found:
            raise UsageError(
                f"{record.model.name} on {record.task.name} has no {setting} {metric}",
                found=f"{', '.join(record.task.metrics)}; {', '.join(record.task.settings)}",
                remedy="leave the record out, or evaluate all settings, with map, own_language_first and rank_distance",
            )
    return found, units


def _lost(record: Record) -> float | None:
    both = [
        record.scores[name].macro.get(MAIN_METRIC) for name in (MULTILINGUAL, CROSS_LINGUAL) if name in record.scores
    ]
    values = [score.value for score in both if score is not None and score.value is not None]
    return 1.0 - values[0] / values[1] if len(values) == 2 and values[1] else None
