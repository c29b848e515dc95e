"""The tests and figures of a study computed again from its published files alone, beside what they state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.measure.resampling import holm
from xqr_bench.report.numbers import number, probability
from xqr_bench.report.table import Column, Table, columns
from xqr_bench.studies.ratio.form import (
    BASE_ARM,
    FILE,
    PRIMARY_VIEW,
    Condition,
    Hypothesis,
    Ratios,
    TestPart,
    View,
    load_ratios,
)
from xqr_bench.studies.ratio.tables import SHORT, in_words, languages_as_units, span

BOOTSTRAP, T, PERMUTATION = "bootstrap", "t", "permutation"
EFFECT = {"estimate": "estimate", "low": "lower end", "high": "upper end"}
"""Of the effect that is tested, by field of `Contrast`: sums of other runs could give the same p."""
SUMS = "sums-{}.npz"
"""Sums and counts of a condition's primary checkpoint by seed, language and article, in the folder of `ratios.json`."""
_NEAR = 2e-4
"""Relative, for what is computed from figures of seven digits."""
_RESAMPLES_OFF, _VALUE_OFF, _END_OFF = 2, 5e-6, 3e-5
"""By so many resamples a bootstrap p may differ, and by so much a score or effect, and an end of its interval, where
the sums are of runs made again on another processor: those of S1b are 1 resample, 3.9e-6 and 2.6e-5 off."""
_OFF = {name: _VALUE_OFF if field == "estimate" else _END_OFF for field, name in EFFECT.items()}


@dataclass(frozen=True)
class Again:
    """A p as it is stated and as it was computed again.

    Attributes:
        condition, view, percent: whose test.
        name: of the part, or of the hypothesis as a whole; of a figure: arm or contrast, and score.
        kind: how the p is computed, or which figure of the effect it is (a value of `EFFECT`).
        stated: as `ratios.json` has it; None: it states none (a permutation test is computed where it is shown).
        computed: None: the files do not hold what it takes.
        tolerance: by how much the two may differ.
        of_test: whether it belongs to a test; else to the scores and contrasts that are shown beside.
    """

    condition: str
    view: str
    percent: int
    name: str
    kind: str
    stated: float | None
    computed: float | None
    tolerance: float = 0.0
    of_test: bool = True

    @property
    def differs(self) -> bool:
        """Whether both are there and are not the same."""
        if self.stated is None or self.computed is None:
            return False
        return abs(self.stated - self.computed) > self.tolerance


def p_values_again(folder: Path) -> list[Again]:
    """All p of the tests in a folder's `ratios.json`, in its order, and the figures that its sums hold.

    p of t: from each contrast's estimate, standard deviation over seeds and number of seeds. p by bootstrap, and with
    their intervals the effects tested, each arm's scores and each contrast of arms: from the sums of the condition's
    runs (`sums-<condition>.npz`), with the seed and the number of resamples of the file. Those of a hypothesis follow
    from its parts'; the permutation test from the effects by language.

    Raises:
        RecordError: a file that cannot be read; sums of other seeds or scores than those tested.
    """
    study = load_ratios(folder / FILE)
    return [one for condition in study.conditions for one in _of_condition(study, condition, folder)]


def _of_condition(study: Ratios, condition: Condition, folder: Path) -> Iterator[Again]:
    raw = condition.view()
    drawn = None if raw is None else _drawn(study, condition, raw, folder)
    for view in condition.views:
        tests = {} if drawn is None or view is not raw else {test.name: test for test in drawn.tests}
        yield from _of_view(study, (condition.name, view.view, view.percent), view, tests)
    if (without := condition.without_shared) is not None:
        place = (condition.name, f"{without.view} without shared questions", without.percent)
        yield from _of_view(study, place, without, {})
    if raw is None:
        return
    again = {} if drawn is None else dict(_figures(drawn))
    for name, figures in dict(_figures(raw)).items():
        for kind, stated, computed in zip(EFFECT.values(), figures, again.get(name, (None,) * 3), strict=True):
            yield Again(condition.name, raw.view, raw.percent, name, kind, stated, computed, _OFF[kind], False)
    split = languages_as_units(condition)
    if split is not None:
        yield Again(condition.name, raw.view, raw.percent, "H2, languages as units", PERMUTATION, None, split.p)


def _figures(view: View) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Name -> value and interval of each arm's score over all languages, and of each contrast of arms."""
    for score in view.scores:
        for arm, figure in score.arms.items() if score.part == "all" else ():
            yield f"{arm}, {SHORT[score.setting, score.metric]}", (figure.value, figure.low, figure.high)
            if (gap := figure.difference) is not None and arm != BASE_ARM:
                name = f"{arm} minus {BASE_ARM}, {SHORT[score.setting, score.metric]}"
                yield name, (gap.estimate, gap.low, gap.high)
    for control in view.controls:
        for key, one in control.effects.items():
            setting, metric = key.split("/")
            yield f"{control.contrast}, {SHORT[setting, metric]}", (one.estimate, one.low, one.high)


def _drawn(study: Ratios, condition: Condition, raw: View, folder: Path) -> View | None:
    """Tests, scores and contrasts from the runs' sums; None: the folder has no sums of the condition."""
    path = folder / SUMS.format(condition.name)
    if not path.is_file():
        return None
    from xqr_bench.studies.ratio.claims import CROSS, HYBRID, MONO, chosen_scores, controls, score_figures
    from xqr_bench.studies.ratio.statistics import primary_scores, primary_tests, replicate
    from xqr_bench.studies.ratio.sums import load_sums

    results = load_sums(path)
    if results.seeds != tuple(condition.seeds):
        raise RecordError(
            f"{path} has other seeds than {FILE} tests",
            found=f"{', '.join(map(str, results.seeds))}, tested: {', '.join(map(str, condition.seeds))}",
            remedy="make both again with xqr-bench report ratios",
        )
    lacking = [arm for arm in (CROSS, HYBRID, MONO) if arm not in results.arms]
    if lacking and raw.tests:
        raise RecordError(
            f"{path} has no sums of {', '.join(lacking)}, which {FILE} tests",
            remedy="make both again with xqr-bench report ratios",
        )
    rng = np.random.default_rng(study.seed)
    try:
        keys = chosen_scores(results, detailed=False)
        tested = primary_scores(results, own_language=any(test.name == "H3" for test in raw.tests)) if raw.tests else {}
        scores = replicate(results, {**tested, **{key.text: rows for key, rows in keys.items()}}, rng, study.resamples)
        return raw.model_copy(
            update={
                "tests": primary_tests(scores) if raw.tests else [],
                "scores": score_figures(scores, keys),
                "controls": controls(scores),
            }
        )
    except XqrBenchError as error:
        raise RecordError(
            f"{path} is not of condition {condition.name}: {error.fault}",
            remedy="make both again with xqr-bench report ratios",
        ) from error


def _of_view(study: Ratios, place: tuple[str, str, int], view: View, drawn: dict[str, Hypothesis]) -> Iterator[Again]:
    resample = _RESAMPLES_OFF / (study.resamples + 1)
    by_t: list[float | None] = []
    for test in view.tests:
        again = drawn.get(test.name)
        t = [_p_of_t(test.name, part) for part in test.parts]
        for k, part in enumerate(test.parts):
            name = f"{test.name}: {in_words(part.name)}"
            yield Again(*place, name, T, part.p_t, t[k], _NEAR * (part.p_t or 0.0))
            computed = None if again is None else again.parts[k].p
            yield Again(*place, name, BOOTSTRAP, part.p, computed, resample)
            if again is not None:
                effect = again.parts[k].effect
                for field, kind in EFFECT.items():
                    yield Again(*place, name, kind, getattr(part.effect, field), getattr(effect, field), _OFF[kind])
        known = [p for p in t if p is not None]
        by_t.append(max(known) if len(known) == len(t) else None)
    adjusted: list[float] = holm([1.0 if p is None else p for p in by_t]).tolist() if by_t else []
    for test, p_t, p in zip(view.tests, by_t, adjusted, strict=True):
        name, again = f"{test.name} as a whole, adjusted", drawn.get(test.name)
        stated = test.adjusted_t
        yield Again(*place, name, T, stated, None if p_t is None else p, _NEAR * (stated or 0.0))
        yield Again(*place, name, BOOTSTRAP, test.adjusted, None if again is None else again.adjusted, 3 * resample)


def _p_of_t(test: str, part: TestPart) -> float | None:
    """The paired t over seeds, one-sided above 0 in H1 and H3, two-sided in H2; None: one seed, or no spread."""
    effect = part.effect
    if not effect.seed_deviation:
        return None
    t = effect.estimate / (effect.seed_deviation / np.sqrt(effect.seeds))
    if test != "H2":
        return float(stats.t.sf(t, effect.seeds - 1))
    return float(2 * stats.t.sf(abs(t), effect.seeds - 1))


def _said_of(of: dict[str, Again]) -> str:
    """Whether the figures of a test are the stated ones."""
    effect = [
        f"{kind} {number(one.stated)}, again {number(one.computed)}"
        for kind in EFFECT.values()
        if (one := of.get(kind)) is not None and one.differs
    ]
    p = ["p"] if any(of[kind].differs for kind in (T, BOOTSTRAP)) else []
    return "differs: " + "; ".join(p + effect) if p + effect else ""


def p_values_summary(found: Sequence[Again]) -> list[str]:
    """How many figures were computed again and differ, and which were not, and why."""
    lacking = [one for one in found if one.kind == BOOTSTRAP and one.computed is None]
    again, differ = sum(one.computed is not None for one in found), sum(one.differs for one in found)
    lines = [f"{again} figures computed again, {differ} differ"]
    primary = {one.condition: one for one in lacking if (one.view, one.percent) == PRIMARY_VIEW[1:]}
    if primary:
        files = ", ".join(SUMS.format(name) for name in primary)
        lines.append(f"not computed again: the p by bootstrap of {', '.join(primary)}: no {files} in the folder")
    if others := sum((one.view, one.percent) != PRIMARY_VIEW[1:] for one in lacking):
        lines.append(
            f"not computed again: {others} p by bootstrap of other checkpoints, of centred vectors or without shared "
            "questions: the sums are of raw vectors after all updates"
        )
    without = {(one.condition, one.name): None for one in found if not one.of_test and one.computed is None}
    if without:
        names = ", ".join(dict.fromkeys(condition for condition, _ in without))
        lines.append(f"not computed again: {len(without)} scores and differences of {names}: no sums of theirs here")
    return lines


def again_tables(found: Sequence[Again], *, full: bool = False) -> list[Table]:
    """Tests, and scores and differences, stated and computed again; those without a row are left out.

    `full`: tests of every checkpoint, raw and centred, in place of those of raw vectors after all updates; and all
    scores and differences in place of those that differ.
    """
    tables = [_tests_table([one for one in found if one.of_test], full), _figures_table(found, full)]
    return [table for table in tables if table.rows]


def _figures_table(found: Sequence[Again], full: bool) -> Table:
    figures: dict[tuple[str, str], dict[str, Again]] = {}
    for one in found:
        if not one.of_test and one.computed is not None:
            figures.setdefault((one.condition, one.name), {})[one.kind] = one
    rows = []
    for place, of in figures.items():
        stated, again = ([getattr(of[kind], side) for kind in EFFECT.values()] for side in ("stated", "computed"))
        differs = any(one.differs for one in of.values())
        if full or differs:
            shown = (f"{number(value)} {span(low, high)}" for value, low, high in (stated, again))
            rows.append((*place, *shown, "differs" if differs else ""))
    return Table(
        "Scores and differences, stated and computed again",
        [*columns("", "what", "stated", "again", names=2), Column("", "word")],
        rows,
        ("Of raw vectors after all updates, from sums by seed and article, with the same seed of draws.",),
    )


def _tests_table(found: Sequence[Again], full: bool) -> Table:
    tests: dict[tuple[str, str], dict[str, Again]] = {}
    split = {one.condition: probability(one.computed) for one in found if one.kind == PERMUTATION}
    for one in found:
        if one.kind != PERMUTATION and (full or one.differs or (one.view, one.percent) == PRIMARY_VIEW[1:]):
            place = f"{one.condition} {one.view} {one.percent}%" if full else one.condition
            tests.setdefault((place, one.name), {})[one.kind] = one
    rows = [
        (
            *place,
            *(probability(p) for kind in (T, BOOTSTRAP) for p in (of[kind].stated, of[kind].computed)),
            _said_of(of),
        )
        for place, of in tests.items()
    ]
    notes = [
        "Again: t from estimate, standard deviation over seeds and number of seeds; bootstrap from sums by seed and "
        "article, with the same seed of draws; there the estimate and its interval are compared too."
    ]
    if split:
        shown = ", ".join(f"{name} {p}" for name, p in split.items())
        notes.append(f"H2 with languages as units, by exact permutation of the effects by language: {shown}.")
    headings = columns("", "test", "t", "again", "bootstrap", "again", names=2)
    return Table("p values, stated and computed again", [*headings, Column("", "word")], rows, notes)
