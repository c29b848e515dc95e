"""Every p of a study computed again from its published files alone, beside the one they state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from xqr_bench.core.errors import RecordError
from xqr_bench.measure.resampling import holm
from xqr_bench.report.numbers import probability
from xqr_bench.report.table import Column, Table, columns
from xqr_bench.studies.ratio.form import FILE, PRIMARY_VIEW, Condition, Hypothesis, Ratios, TestPart, View, load_ratios
from xqr_bench.studies.ratio.tables import in_words, languages_as_units

BOOTSTRAP, T, PERMUTATION = "bootstrap", "t", "permutation"
SUMS = "sums-{}.npz"
"""Sums and counts of a condition's primary checkpoint by seed, language and article, in the folder of `ratios.json`."""
_NEAR = 2e-4
"""Relative, for what is computed from figures of seven digits."""
_RESAMPLES_OFF = 20
"""By so many resamples a bootstrap p may differ where its runs were made again on another processor."""


@dataclass(frozen=True)
class Again:
    """A p as it is stated and as it was computed again.

    Attributes:
        condition, view, percent: whose test.
        name: of the part, or of the hypothesis as a whole.
        kind: how it is computed.
        stated: as `ratios.json` has it; None: it states none (a permutation test is computed where it is shown).
        computed: None: the files do not hold what it takes.
        tolerance: by how much the two may differ.
    """

    condition: str
    view: str
    percent: int
    name: str
    kind: str
    stated: float | None
    computed: float | None
    tolerance: float = 0.0

    @property
    def differs(self) -> bool:
        """Whether both are there and are not the same."""
        if self.stated is None or self.computed is None:
            return False
        return abs(self.stated - self.computed) > self.tolerance


def p_values_again(folder: Path) -> list[Again]:
    """All p of the tests in a folder's `ratios.json`, in its order.

    p of t: from each contrast's estimate, standard deviation over seeds and number of seeds. p by bootstrap: from the
    sums of the condition's runs (`sums-<condition>.npz`), with the seed and the number of resamples of the file. Those
    of a hypothesis follow from its parts'; the permutation test from the effects by language.

    Raises:
        RecordError: a file that cannot be read.
    """
    study = load_ratios(folder / FILE)
    return [one for condition in study.conditions for one in _of_condition(study, condition, folder)]


def _of_condition(study: Ratios, condition: Condition, folder: Path) -> Iterator[Again]:
    for view in condition.views:
        drawn = {test.name: test for test in _bootstrap(study, condition, view, folder)}
        yield from _of_view(study, (condition.name, view.view, view.percent), view, drawn)
    if (without := condition.without_shared) is not None:
        place = (condition.name, f"{without.view} without shared questions", without.percent)
        yield from _of_view(study, place, without, {})
    split = languages_as_units(condition)
    raw = condition.view()
    if split is not None and raw is not None:
        yield Again(condition.name, raw.view, raw.percent, "H2, languages as units", PERMUTATION, None, split.p)


def _bootstrap(study: Ratios, condition: Condition, view: View, folder: Path) -> Sequence[Hypothesis]:
    """The tests from the runs' sums; none where nothing is tested, or the folder has no sums of this checkpoint."""
    path = folder / SUMS.format(condition.name)
    if view is not condition.view() or not view.tests or not path.is_file():
        return []
    from xqr_bench.studies.ratio.claims import CROSS, HYBRID, MONO
    from xqr_bench.studies.ratio.statistics import primary_scores, primary_tests, replicate
    from xqr_bench.studies.ratio.sums import load_sums

    results = load_sums(path)
    if lacking := [arm for arm in (CROSS, HYBRID, MONO) if arm not in results.arms]:
        raise RecordError(
            f"{path} has no sums of {', '.join(lacking)}, which {FILE} tests",
            remedy="make both again with xqr-bench report ratios",
        )
    rng = np.random.default_rng(study.seed)
    chosen = primary_scores(results, own_language=any(test.name == "H3" for test in view.tests))
    return primary_tests(replicate(results, chosen, rng, study.resamples))


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
        known = [p for p in t if p is not None]
        by_t.append(max(known) if len(known) == len(t) else None)
    adjusted: list[float] = holm([1.0 if p is None else p for p in by_t]).tolist() if by_t else []
    for test, p_t, p in zip(view.tests, by_t, adjusted, strict=True):
        name, again = f"{test.name} as a whole, adjusted", drawn.get(test.name)
        stated = test.adjusted_t
        yield Again(*place, name, T, stated, None if p_t is None else p, _NEAR * (stated or 0.0))
        yield Again(*place, name, BOOTSTRAP, test.adjusted, None if again is None else again.adjusted, 2 * resample)


def _p_of_t(test: str, part: TestPart) -> float | None:
    """The paired t over seeds, one-sided above 0 in H1 and H3, two-sided in H2; None: one seed, or no spread."""
    effect = part.effect
    if not effect.seed_deviation:
        return None
    t = effect.estimate / (effect.seed_deviation / np.sqrt(effect.seeds))
    if test != "H2":
        return float(stats.t.sf(t, effect.seeds - 1))
    return float(2 * stats.t.sf(abs(t), effect.seeds - 1))


def p_values_table(found: Sequence[Again], *, full: bool = False) -> Table:
    """The p values side by side, a row a test: of vectors as they are at 100% of the updates, or (`full`) of all."""
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
            "differs" if any(one.differs for one in of.values()) else "",
        )
        for place, of in tests.items()
    ]
    notes = [
        "Again: t from estimate, standard deviation over seeds and number of seeds; bootstrap from sums by seed and "
        "article, with the same seed of draws."
    ]
    if split:
        shown = ", ".join(f"{name} {p}" for name, p in split.items())
        notes.append(f"H2 with languages as units, by exact permutation of the effects by language: {shown}.")
    headings = columns("", "test", "t", "again", "bootstrap", "again", names=2)
    return Table("p values, stated and computed again", [*headings, Column("", "word")], rows, notes)
