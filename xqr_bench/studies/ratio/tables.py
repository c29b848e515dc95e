"""The figures of `ratios.json` as tables, for a terminal, Markdown and the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xqr_bench.report.terminal import number, probability, signed
from xqr_bench.report.text import PlainTable
from xqr_bench.studies.ratio.form import (
    BASE_ARM,
    ArmFigure,
    Condition,
    Contrast,
    Hypothesis,
    Ratios,
    Score,
    TestPart,
    View,
)

# Cells of the ratio study's tables: which scores, and how a figure is written.

MAIN = (
    ("monolingual", "map"),
    ("cross-lingual", "map"),
    ("multilingual", "map"),
    ("multilingual", "rank_distance"),
    ("multilingual", "own_language_first"),
)
SHORT = {
    ("monolingual", "map"): "mono MAP",
    ("cross-lingual", "map"): "cross MAP",
    ("multilingual", "map"): "multi MAP",
    ("multilingual", "rank_distance"): "rank distance",
    ("multilingual", "own_language_first"): "own language first",
}
CENTRED_ENDS = "In brackets: 95% intervals, seeds and articles drawn again."
EXPLORATORY = "Exploratory: no claim of significance."


def span(low: float, high: float) -> str:
    """`[.0123, .0345]`."""
    return f"[{number(low)}, {number(high)}]"


def figure(found: ArmFigure | None) -> str:
    """An arm's score with its interval."""
    return "–" if found is None else f"{number(found.value)} {span(found.low, found.high)}"


def gap(found: Contrast | None) -> str:
    """A difference with its interval; of ranks, whose interval goes beyond 10, without decimals."""
    if found is None:
        return "–"
    if max(abs(found.low), abs(found.high)) >= 10:
        return f"{round(found.estimate):+,d} [{round(found.low):,d}, {round(found.high):,d}]"
    return f"{signed(found.estimate)} {span(found.low, found.high)}"


def least(value: float | None) -> str:
    """A smallest detectable difference."""
    return "–" if value is None else number(value)


# What centring leaves of an effect, and what the control arms tell, as tables.

OFFSET = (
    "Change of offset: told raw, not told centred, and the two told apart. Stays, turns round: told in both, in one "
    "direction or opposite ones. Told: both 95% intervals, bootstrap and t over seeds, without 0."
)


def _of_controls(condition: Condition) -> set[str]:
    return {one.contrast for view in condition.views for one in view.controls}


def centring_table(condition: Condition) -> PlainTable | None:
    """Effects of alpha raw and centred."""
    others = _of_controls(condition)
    rows = tuple(
        (
            SHORT[one.setting, one.metric],
            one.contrast,
            gap(one.raw),
            gap(one.centred),
            gap(one.lost),
            one.verdict,
        )
        for one in condition.centring
        if one.contrast not in others
    )
    return PlainTable(
        f"{condition.name}: raw and language-centred, 100% of the updates",
        ("score", "effect", "raw", "centred", "raw minus centred", "verdict"),
        rows,
        names=2,
        notes=(f"{OFFSET} {EXPLORATORY}",),
    )


def controls_tables(condition: Condition) -> list[PlainTable]:
    """What the control arms tell: raw and centred at 100%, what centring leaves, and raw at every checkpoint."""
    names = tuple(SHORT[key] for key in MAIN)
    made = []
    for view in (condition.view(), condition.view("centred")):
        if view is not None:
            rows = tuple(
                (one.question, one.contrast, *(gap(one.effects.get("/".join(key))) for key in MAIN))
                for one in view.controls
            )
            title = f"{condition.name}: control arms, {view.view}, 100% of the updates"
            notes = (f"{EXPLORATORY} {CENTRED_ENDS}",)
            made.append(PlainTable(title, ("question", "contrast", *names), rows, names=2, notes=notes))
    verdicts = {(one.contrast, one.setting, one.metric): one.verdict for one in condition.centring}
    views = [view for view in condition.views if view.view == "raw"]
    contrasts = list(dict.fromkeys(one.contrast for view in views for one in view.controls))
    made.append(
        PlainTable(
            f"{condition.name}: control arms, what centring leaves, 100% of the updates",
            ("contrast", *names),
            tuple((one, *(verdicts.get((one, *key), "–") for key in MAIN)) for one in contrasts),
            names=1 + len(names),
            notes=(f"{OFFSET} {EXPLORATORY}",),
        )
    )
    by_view = [(f"{view.percent}%", {one.contrast: one.effects for one in view.controls}) for view in views]
    made.append(
        PlainTable(
            f"{condition.name}: control arms at every checkpoint, raw",
            ("contrast", "updates", *names),
            tuple(
                (one, percent, *(gap(effects[one].get("/".join(key))) for key in MAIN))
                for one in contrasts
                for percent, effects in by_view
                if one in effects
            ),
            names=2,
            notes=(f"{EXPLORATORY} {CENTRED_ENDS}",),
        )
    )
    return made


# The figures of the ratio study as tables.


def condition_tables(found: Ratios, condition: Condition) -> list[PlainTable]:
    """Everything of a condition, the tests first."""
    made = [*tests_tables(found, condition)]
    raw, centred = condition.view(), condition.view("centred")
    for view in (raw, centred):
        if view is not None:
            made += [arm_table(condition, view), difference_table(condition, view)]
    if raw is not None:
        made += [best_table(condition, [one for one in (raw, centred) if one is not None])]
        made += [part_table(condition, raw)]
    made += [
        table
        for table in (
            centring_table(condition),
            *controls_tables(condition),
            *claims_tables(condition),
            language_table(condition),
            medians_table(condition),
        )
        if table is not None
    ]
    return [table for table in made if table.rows]


def tests_tables(found: Ratios, condition: Condition) -> list[PlainTable]:
    """The tests at 100% raw with all numbers, the same without what the tasks share, and those of all checkpoints."""
    made = []
    raw = condition.view()
    if raw is not None and raw.tests:
        primary = found.is_primary(condition, raw)
        role = "primary tests" if primary else "the primary tests' contrasts, exploratory here"
        made.append(_tests(f"{condition.name}: {role}", raw, primary=primary))
    without = condition.without_shared
    if without is not None and without.tests:
        title = f"{condition.name}: the same without the {condition.shared_questions} questions of shared texts"
        made.append(_tests(title, without, primary=False))
    views = [view for view in condition.views if view.tests]
    rows = []
    for view in views:
        for test in view.tests:
            for part in test.parts:
                rows.append(
                    (
                        f"{view.percent}%",
                        view.view,
                        f"{test.name}: {part.name}",
                        gap(part.effect),
                        probability(part.p),
                        _p(part.p_t),
                        _all_hold(test) if part is test.parts[0] else "",
                    )
                )
    if rows:
        made.append(
            PlainTable(
                f"{condition.name}: at every checkpoint, raw and centred",
                ("updates", "vectors", "part", "estimate", "p", "p of t", "as a whole"),
                tuple(rows),
                names=3,
                notes=(f"Only raw at 100% of S1b is tested; the rest is exploratory. {CENTRED_ENDS}",),
            )
        )
    return made


def _tests(title: str, view: View, *, primary: bool) -> PlainTable:
    yes, no = ("claimed", "not claimed") if primary else ("by both", "not by both")
    rows = []
    for test in view.tests:
        for part in test.parts:
            rows.append((f"{test.name}: {part.name}", *_part(part), ""))
        p_t = "–" if test.adjusted_t is None else probability(test.adjusted_t)
        whole = yes if test.claimed else no
        rows.append((f"{test.name} as a whole, by Holm", "", probability(test.adjusted), p_t, "", "", whole))
    return PlainTable(
        title,
        ("test", "estimate", "p", "p of t", "detectable", "seeds for 80%", "claim" if primary else "shown"),
        tuple(rows),
        notes=(
            "p: two-way bootstrap over seeds and articles, one-sided in H1, two-sided in H2. p of t: paired t over "
            "seeds. H1's p is the largest of its parts. A claim needs both, adjusted, at 5%. Detectable: the smallest "
            "true value found with 80% power. Seeds for 80%: to find the estimate, same articles; –: no number would.",
        ),
    )


def _part(part: TestPart) -> tuple[str, str, str, str, str]:
    seeds = "–" if part.seeds_needed is None else str(part.seeds_needed)
    return gap(part.effect), probability(part.p), _p(part.p_t), least(part.effect.detectable), seeds


def _p(value: float | None) -> str:
    return "–" if value is None else probability(value)


def _all_hold(test: Hypothesis) -> str:
    return f"{test.name}: " + ("by both" if test.claimed else "not by both")


def _title(condition: Condition, view: View) -> str:
    return f"{condition.name}, {view.view}, {view.percent}% of the updates"


def _mains(view: View) -> list[Score]:
    return [one for setting, metric in MAIN if (one := view.score(setting, metric)) is not None]


def arm_table(condition: Condition, view: View) -> PlainTable:
    """Scores of all arms."""
    scores = _mains(view)
    rows = [(arm.name, *(figure(one.arms.get(arm.name)) for one in scores)) for arm in condition.arms]
    return PlainTable(
        f"{_title(condition, view)}: arms",
        ("arm", *(SHORT[one.setting, one.metric] for one in scores)),
        tuple(rows),
        notes=(f"Means over {len(condition.seeds)} seeds. {CENTRED_ENDS}",),
    )


def difference_table(condition: Condition, view: View) -> PlainTable:
    """Paired differences from alpha .5."""
    scores = _mains(view)
    rows = [
        (arm.name, *(gap(one.arms[arm.name].difference) for one in scores))
        for arm in condition.arms
        if arm.name != BASE_ARM and any(one.arms[arm.name].difference is not None for one in scores)
    ]
    return PlainTable(
        f"{_title(condition, view)}: arm minus {BASE_ARM}",
        ("arm", *(SHORT[one.setting, one.metric] for one in scores)),
        tuple(rows),
        notes=(f"Paired by seed and article. {EXPLORATORY} {CENTRED_ENDS}",),
    )


def best_table(condition: Condition, views: Sequence[View]) -> PlainTable:
    """Which alphas may be best, and how small a difference would be seen."""
    rows = [
        (
            SHORT[one.setting, one.metric],
            view.view,
            ", ".join(f"{alpha} ({share:.0%})" for alpha, share in one.best.items()),
            least(one.detectable),
        )
        for view in views
        for one in _mains(view)
        if one.best
    ]
    return PlainTable(
        f"{condition.name}: best alpha",
        ("score", "vectors", "best in at least 5% of the resamples", "detectable"),
        tuple(rows),
        names=3,
        notes=(
            "Best: highest, of rank distance lowest. Detectable: the smallest difference between alpha .5 and another "
            "alpha found with 80% power, the largest over these alphas.",
        ),
    )


def part_table(condition: Condition, view: View) -> PlainTable:
    """MAP by level, Joshi class and language: alpha 0, .5, 1, and their differences."""
    rows = []
    for one in view.scores:
        ends = [one.arms.get(name) for name in ("alpha-0", BASE_ARM, "alpha-1")]
        if one.metric != "map" or one.part == "all" or any(end is None for end in ends):
            continue
        gaps = [None if end is None else end.difference for end in (ends[0], ends[2])]
        rows.append((one.name, one.setting, *(figure(end) for end in ends), *(gap(end) for end in gaps)))
    return PlainTable(
        f"{_title(condition, view)}: MAP by query language and groups of them",
        ("languages", "setting", "alpha 0", "alpha .5", "alpha 1", "0 minus .5", "1 minus .5"),
        tuple(rows),
        names=2,
        notes=(f"{EXPLORATORY} {CENTRED_ENDS}",),
    )


def study_tables(found: Ratios) -> list[PlainTable]:
    """What belongs to no condition: how the numbers were chosen."""
    if found.tuning is None:
        return []
    steps = (("learning rate, temperature", found.tuning.first_step), ("updates", found.tuning.second_step))
    rows = tuple(
        (
            step,
            f"{one.learning_rate:g}",
            f"{one.temperature:g}",
            f"{one.updates:,}",
            number(one.monolingual),
            number(one.multilingual),
            number(one.criterion),
        )
        for step, tried in steps
        for one in tried
    )
    arms, seeds = ", ".join(found.tuning.arms), ", ".join(map(str, found.tuning.seeds))
    return [
        PlainTable(
            "The choice of the numbers, on held-out training articles",
            ("chosen", "learning rate", "temperature", "updates", "mono MAP", "multi MAP", "mean of both"),
            rows,
            notes=(f"Means over {arms} and the seeds {seeds}. Of each step the highest mean was taken.",),
        )
    ]


def claims_tables(condition: Condition) -> list[PlainTable]:
    """The claims of the paper at 100% raw with their contrasts, and the verdicts elsewhere."""
    raw = condition.view()
    made = []
    if raw is not None and raw.claims:
        rows: list[tuple[str, ...]] = []
        for claim in raw.claims:
            rows.append((f"{claim.number}. {claim.text}", claim.verdict, claim.reason or "", "", ""))
            for part in claim.parts:
                name = f"– {part.text}" + ("" if part.counts else " (beside)")
                needed = "" if part.seeds_needed is None else str(part.seeds_needed)
                rows.append((name, part.outcome, gap(part.effect), least(part.effect.detectable), needed))
        made.append(
            PlainTable(
                f"{condition.name}: claims of Elmahdy et al. 2024, raw, 100% of the updates",
                ("claim", "verdict", "contrast", "detectable", "seeds for 80%"),
                tuple(rows),
                names=2,
                notes=(
                    "Holds: above 0 by both 95% intervals, of the two-way bootstrap (shown) and of t over seeds. Does "
                    "not: below 0 by both. Else, or below the smallest difference found with 80% power "
                    "(detectable), it cannot be told: seeds for 80% would find the estimate, same articles; where "
                    "empty, no number would. A claim holds where all its contrasts do; those "
                    f"beside do not count. {EXPLORATORY}",
                ),
            )
        )
    views = [view for view in condition.views if view.claims]
    numbers = list(dict.fromkeys(claim.number for view in views for claim in view.claims))
    rows = [
        (f"{view.percent}%", view.view, *(_verdict(view, number_) for number_ in numbers)) for view in views if numbers
    ]
    made.append(
        PlainTable(
            f"{condition.name}: the claims at every checkpoint",
            ("updates", "vectors", *(f"claim {one}" for one in numbers)),
            tuple(rows),
            names=2 + len(numbers),
        )
    )
    return made


def _verdict(view: View, wanted: str) -> str:
    return next((claim.verdict for claim in view.claims if claim.number == wanted), "–")


def language_table(condition: Condition) -> PlainTable | None:
    """Alpha .5 against both ends by language, beside the paper's."""
    models = list(dict.fromkeys(name for one in condition.by_language for name in one.published))
    rows = tuple(
        (
            f"{one.code} {one.name}",
            one.level,
            gap(one.minus_cross),
            gap(one.minus_mono),
            *_published(one.published.get(name) for name in models),
        )
        for one in condition.by_language
    )
    notes = [f"{EXPLORATORY} {CENTRED_ENDS}"]
    if condition.published_source:
        notes.append(f"Printed without intervals, other models, other training data: {condition.published_source}.")
    return PlainTable(
        f"{condition.name}: multilingual MAP by query language, alpha .5 against both ends",
        (
            "language",
            "level",
            ".5 minus 0",
            ".5 minus 1",
            *(f"{name}: {what}" for name in models for what in ("hybrid minus x-y", "hybrid minus x-x-mono")),
        ),
        rows,
        names=2,
        notes=tuple(notes),
    )


def _published(found: Iterable[tuple[float, float] | None]) -> list[str]:
    return [text for pair in found for text in (("–", "–") if pair is None else (signed(pair[0]), signed(pair[1])))]


def medians_table(condition: Condition) -> PlainTable | None:
    """The runs for the leaderboard."""
    rows = tuple(
        (one.arm, str(one.seed), one.record, number(one.value), number(one.median)) for one in condition.medians
    )
    return PlainTable(
        f"{condition.name}: the seed of median multilingual MAP",
        ("arm", "seed", "record", "its multi MAP", "median"),
        rows,
        names=3,
        notes=("Of an even number of seeds the lower of the two in the middle.",),
    )
