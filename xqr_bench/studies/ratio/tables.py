"""The figures of `ratios.json` as tables, points of curves and sentences: for terminal, Markdown, plots and page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from xqr_bench.core.printable import markdown_shown
from xqr_bench.measure.permutation import Split, compare_split
from xqr_bench.report.numbers import number, probability, signed
from xqr_bench.report.table import Table, columns
from xqr_bench.studies.ratio.form import (
    BASE_ARM,
    BESIDE_FIRST,
    MAIN,
    PRIMARY_CONDITIONS,
    TRAINED,
    ArmFigure,
    Condition,
    Contrast,
    Hypothesis,
    Ratios,
    Score,
    View,
)

# Cells of the ratio study's tables: how a figure is written.

SHORT = {
    ("monolingual", "map"): "mono MAP",
    ("cross-lingual", "map"): "cross MAP",
    ("multilingual", "map"): "multi MAP",
    ("multilingual", "rank_distance"): "rank distance",
    ("multilingual", "own_language_first"): "own language first",
}
EXPLORATORY = "Exploratory: no claim of significance."
OFFSET = (
    "Change of offset: told raw, not told centred, and the two told apart. Stays, turns round: told in both, in one "
    "direction or opposite ones. Told: both 95% intervals, bootstrap and t over seeds, without 0."
)
AT_END = "100% of the updates"


_PART = re.compile(r"(mono|multi)\(([.\d]+)\) > (\.98 )?\1\(([.\d]+)\)")
_OTHER_PARTS = {"own(1) > own(.5)": "own language first, alpha 1 above alpha .5"}


def in_words(part: str) -> str:
    """A part of a hypothesis: `mono(.5) > .98 mono(1)` -> `monolingual MAP, alpha .5 above .98 of alpha 1`."""
    found = _PART.fullmatch(part)
    if found is None:
        return _OTHER_PARTS.get(part, part)
    measure, better, share, other = found.groups()
    return f"{measure}lingual MAP, alpha {better} above {f'{share}of ' if share else ''}alpha {other}"


def span(low: float, high: float) -> str:
    """`[.0123, .0345]`."""
    return f"[{number(low)}, {number(high)}]"


def figure(score: ArmFigure | None) -> str:
    """An arm's score with its interval."""
    return "–" if score is None else f"{number(score.value)} {span(score.low, score.high)}"


def gap(contrast: Contrast | None) -> str:
    """A difference with its interval; of ranks, whose interval goes beyond 1, without decimals."""
    if contrast is None:
        return "–"
    if max(abs(contrast.low), abs(contrast.high)) > 1:
        return f"{round(contrast.estimate):+,d} [{round(contrast.low):,d}, {round(contrast.high):,d}]"
    return f"{signed(contrast.estimate)} {span(contrast.low, contrast.high)}"


def detectable(value: float | None) -> str:
    """The smallest difference that would be found; of ranks, above 1, without decimals."""
    return number(value) if value is None or value <= 1 else f"{round(value):,d}"


def condition_tables(study: Ratios, condition: Condition) -> list[Table]:
    """Everything of a condition, the tests first; tables without a row are left out."""
    raw, centred = condition.view(), condition.view("centred")
    views = [view for view in (raw, centred) if view is not None]
    made = [*tests_tables(study, condition)]
    for view in views:
        made += [_arms(condition, view), _differences(condition, view)]
    if raw is not None:
        made += [_best(condition, views), _parts(condition, raw)]
    made += [_centring(condition), *_controls(condition, views), *_claims(condition, raw)]
    made += [_languages(condition), _medians(condition)]
    return [table for table in made if table.rows]


# The tests.


def tests_tables(study: Ratios, condition: Condition) -> Iterator[Table]:
    """The tests at 100% raw with all numbers, the same without what the tasks share, and those of all checkpoints."""
    raw = condition.view()
    if raw is not None and raw.tests:
        primary = study.is_primary(condition, raw)
        role = "primary tests" if primary else "the primary tests' contrasts, exploratory here"
        yield _tests(f"{condition.name}: {role}", raw, primary=primary, condition=condition)
    without = condition.without_shared
    if without is not None and without.tests:
        title = f"{condition.name}: the same without the {condition.shared_questions} questions of shared texts"
        yield _tests(title, without, primary=False)
    rows = []
    for view in condition.views:
        for test in view.tests:
            whole = f"{test.name}: " + ("by both" if test.claimed else "not by both")
            for part in test.parts:
                p = probability(part.p), probability(part.p_t)
                where = (f"{view.percent}%", view.view, f"{test.name}: {in_words(part.name)}")
                rows.append((*where, gap(part.effect), *p, whole if part is test.parts[0] else ""))
    if rows:
        yield Table(
            f"{condition.name}: at every checkpoint, raw and centred",
            columns("updates", "vectors", "part", "estimate", "p", "p of t", "as a whole", names=3),
            rows,
            (
                f"Only raw at 100% of {' and '.join(PRIMARY_CONDITIONS)} is tested; the rest is exploratory. "
                f"{_brackets(condition)}",
            ),
        )


def _tests(title: str, view: View, *, primary: bool, condition: Condition | None = None) -> Table:
    yes, no = ("claimed", "not claimed") if primary else ("by both", "not by both")
    rows = []
    for test in view.tests:
        for part in test.parts:
            seeds = "–" if part.seeds_needed is None else str(part.seeds_needed)
            p = probability(part.p), probability(part.p_t)
            rows.append(
                (f"{test.name}: {in_words(part.name)}", gap(part.effect), *p, number(part.effect.detectable), seeds, "")
            )
        split = languages_as_units(condition) if condition is not None and test.name == "H2" else None
        if split is not None:
            shown = signed(split.difference), probability(split.p)
            rows.append((f"{test.name}, languages as units (exact permutation)", *shown, "–", "–", "–", ""))
        p = probability(test.adjusted), probability(test.adjusted_t)
        rows.append((f"{test.name} as a whole, by Holm", "", *p, "", "", yes if test.claimed else no))
    last = "claim" if primary else "shown"
    return Table(
        title,
        columns("test", "estimate", "p", "p of t", "detectable", "seeds for 80%", last),
        rows,
        (
            "p: two-way bootstrap over seeds and articles, one-sided in H1 and H3, two-sided in H2. p of t: paired t "
            "over seeds. H1's p is the largest of its parts. A claim needs both, adjusted, at 5%. Detectable: the "
            "smallest true value found with 80% power. Seeds for 80%: to find the estimate, same articles; –: no "
            "number would.",
        ),
    )


# Arms against each other, and parts of the languages.


def _title(condition: Condition, view: View) -> str:
    return f"{condition.name}, {view.view}, {view.percent}% of the updates"


def _mains(view: View) -> dict[str, Score]:
    """The main scores that the view has, by their short names."""
    return {SHORT[key]: score for key in MAIN if (score := view.score(*key)) is not None}


def _arms(condition: Condition, view: View) -> Table:
    """Scores of all arms."""
    scores = _mains(view)
    return Table(
        f"{_title(condition, view)}: arms",
        columns("arm", *scores),
        [(arm.name, *(figure(one.arms.get(arm.name)) for one in scores.values())) for arm in condition.arms],
        (_brackets(condition, "Means over {} seeds. "),),
    )


def _brackets(condition: Condition, means: str = "") -> str:
    """What the brackets of a table hold; with one seed nothing is known of other trainings."""
    if (seeds := len(condition.seeds)) == 1:
        return "In brackets: 95% intervals of one seed's training, articles drawn again."
    return f"{means.format(seeds)}In brackets: 95% intervals, seeds and articles drawn again."


def _differences(condition: Condition, view: View) -> Table:
    """Paired differences from alpha .5."""
    scores = _mains(view)
    rows = []
    for arm in condition.arms:
        gaps = [one.arms[arm.name].difference for one in scores.values()] if arm.name != BASE_ARM else []
        if any(one is not None for one in gaps):
            rows.append((arm.name, *map(gap, gaps)))
    return Table(
        f"{_title(condition, view)}: arm minus {BASE_ARM}",
        columns("arm", *scores),
        rows,
        (f"Paired by seed and article. {EXPLORATORY} {_brackets(condition)}",),
    )


def _best(condition: Condition, views: list[View]) -> Table:
    """Which alphas may be best, and how small a difference would be seen."""
    rows = []
    for view in views:
        for name, score in _mains(view).items():
            best = ", ".join(f"{alpha} ({share:.0%})" for alpha, share in score.best.items())
            if best:
                rows.append((name, view.view, best, detectable(score.detectable)))
    return Table(
        f"{condition.name}: best alpha",
        columns("score", "vectors", "best in at least 5% of the resamples", "detectable", names=3),
        rows,
        (
            "Best: highest, of rank distance lowest. Detectable: the smallest difference between alpha .5 and another "
            "alpha found with 80% power, the largest over these alphas.",
        ),
    )


def _parts(condition: Condition, view: View) -> Table:
    """MAP by level, Joshi class and language: alpha 0, .5, 1, and their differences."""
    rows = []
    for score in view.scores:
        arms = [score.arms[name] for name in ("alpha-0", BASE_ARM, "alpha-1") if name in score.arms]
        if score.metric == "map" and score.part != "all" and len(arms) == 3:
            gaps = gap(arms[0].difference), gap(arms[2].difference)
            rows.append((score.name, score.setting, *map(figure, arms), *gaps))
    return Table(
        f"{_title(condition, view)}: MAP by query language and groups of them",
        columns("languages", "setting", "alpha 0", "alpha .5", "alpha 1", "0 minus .5", "1 minus .5", names=2),
        rows,
        (f"{EXPLORATORY} {_brackets(condition)}",),
    )


# What centring leaves of an effect, and what the control arms tell.


def _centring(condition: Condition) -> Table:
    """Effects of alpha raw and centred."""
    of_controls = {one.contrast for view in condition.views for one in view.controls}
    return Table(
        f"{condition.name}: raw and language-centred, {AT_END}",
        columns("score", "effect", "raw", "centred", "raw minus centred", "verdict", names=2),
        [
            (SHORT[one.setting, one.metric], one.contrast, gap(one.raw), gap(one.centred), gap(one.lost), one.verdict)
            for one in condition.centring
            if one.contrast not in of_controls
        ],
        (f"{OFFSET} {EXPLORATORY}",),
    )


def _controls(condition: Condition, views: list[View]) -> Iterator[Table]:
    """What the control arms tell: raw and centred at 100%, what centring leaves, and raw at every checkpoint."""
    names = [SHORT[key] for key in MAIN]
    notes = (f"{EXPLORATORY} {_brackets(condition)}",)

    def gaps(effects: dict[str, Contrast]) -> list[str]:
        return [gap(effects.get("/".join(key))) for key in MAIN]

    for view in views:
        yield Table(
            f"{condition.name}: control arms, {view.view}, {AT_END}",
            columns("question", "contrast", *names, names=2),
            [(one.question, one.contrast, *gaps(one.effects)) for one in view.controls],
            notes,
        )
    verdicts = {(one.contrast, one.setting, one.metric): one.verdict for one in condition.centring}
    by_percent = {
        f"{view.percent}%": {one.contrast: one.effects for one in view.controls}
        for view in condition.views
        if view.view == "raw"
    }
    contrasts = dict.fromkeys(contrast for effects in by_percent.values() for contrast in effects)
    yield Table(
        f"{condition.name}: control arms, what centring leaves, {AT_END}",
        columns("contrast", *names, names=1 + len(names)),
        [(one, *(verdicts.get((one, *key), "–") for key in MAIN)) for one in contrasts],
        (f"{OFFSET} {EXPLORATORY}",),
    )
    yield Table(
        f"{condition.name}: control arms at every checkpoint, raw",
        columns("contrast", "updates", *names, names=2),
        [
            (one, percent, *gaps(effects[one]))
            for one in contrasts
            for percent, effects in by_percent.items()
            if one in effects
        ],
        notes,
    )


# Claims of the paper, languages, the runs for the leaderboard, and how the numbers were chosen.


def _claims(condition: Condition, raw: View | None) -> Iterator[Table]:
    """The claims of the paper at 100% raw with their contrasts, and the verdicts elsewhere."""
    rows: list[tuple[str, ...]] = []
    for claim in [] if raw is None else raw.claims:
        rows.append((f"{claim.number}. {claim.text}", claim.verdict, claim.reason or "", "", ""))
        for part in claim.parts:
            name = f"– {part.text}" + ("" if part.counts else " (beside)")
            needed = "" if part.seeds_needed is None else str(part.seeds_needed)
            rows.append((name, part.outcome, gap(part.effect), detectable(part.effect.detectable), needed))
    yield Table(
        f"{condition.name}: claims of Elmahdy et al. 2024, raw, {AT_END}",
        columns("claim", "verdict", "contrast", "detectable", "seeds for 80%", names=2),
        rows,
        (
            "Holds: above 0 by both 95% intervals, of the two-way bootstrap (shown) and of t over seeds. Does "
            "not: below 0 by both. Else, or below the smallest difference found with 80% power "
            "(detectable), it cannot be told: seeds for 80% would find the estimate, same articles; where "
            "empty, no number would. A claim holds where all its contrasts do; those "
            f"beside do not count. {EXPLORATORY}",
        ),
    )
    by_view = [
        (f"{view.percent}%", view.view, {claim.number: claim.verdict for claim in view.claims})
        for view in condition.views
        if view.claims
    ]
    numbers = dict.fromkeys(one for *_, verdicts in by_view for one in verdicts)
    yield Table(
        f"{condition.name}: the claims at every checkpoint",
        columns("updates", "vectors", *(f"claim {one}" for one in numbers), names=2 + len(numbers)),
        [(percent, view, *(verdicts.get(one, "–") for one in numbers)) for percent, view, verdicts in by_view],
    )


def _languages(condition: Condition) -> Table:
    """Alpha .5 against both ends by language, beside the paper's."""
    models = list(dict.fromkeys(name for one in condition.by_language for name in one.published))
    notes = [f"{EXPLORATORY} {_brackets(condition)}"]
    if condition.published_source:
        notes.append(f"Printed without intervals, other models, other training data: {condition.published_source}.")
    rows = []
    for one in condition.by_language:
        published = [signed(value) for name in models for value in one.published.get(name, (None, None))]
        rows.append((f"{one.code} {one.name}", one.level, gap(one.minus_cross), gap(one.minus_mono), *published))
    of_papers = (f"{name}: {what}" for name in models for what in ("hybrid minus x-y", "hybrid minus x-x-mono"))
    return Table(
        f"{condition.name}: multilingual MAP by query language, alpha .5 against both ends",
        columns("language", "level", ".5 minus 0", ".5 minus 1", *of_papers, names=2),
        rows,
        notes,
    )


def _medians(condition: Condition) -> Table:
    """The runs for the leaderboard."""
    return Table(
        f"{condition.name}: the seed of median multilingual MAP",
        columns("arm", "seed", "record", "its multi MAP", "median", names=3),
        [(one.arm, str(one.seed), one.record, number(one.value), number(one.median)) for one in condition.medians],
        ("Of an even number of seeds the lower of the two in the middle.",),
    )


def study_tables(study: Ratios) -> list[Table]:
    """What belongs to no condition: how the numbers were chosen."""
    if study.tuning is None:
        return []
    steps = (("learning rate, temperature", study.tuning.first_step), ("updates", study.tuning.second_step))
    rows = []
    for step, tried in steps:
        for one in tried:
            recipe = f"{one.learning_rate:g}", f"{one.temperature:g}", f"{one.updates:,}"
            rows.append((step, *recipe, *map(number, (one.monolingual, one.multilingual, one.criterion))))
    arms, seeds = ", ".join(study.tuning.arms), ", ".join(map(str, study.tuning.seeds))
    return [
        Table(
            "The choice of the numbers, on held-out training articles",
            columns("chosen", "learning rate", "temperature", "updates", "mono MAP", "multi MAP", "mean of both"),
            rows,
            (f"Means over {arms} and the seeds {seeds}. Of each step the highest mean was taken.",),
        )
    ]


# A score against the ratio, with its band.


@dataclass(frozen=True)
class Curve:
    """Points of a line over the ratio and its band."""

    alphas: list[float]
    values: list[float]
    low: list[float]
    high: list[float]


def curve(condition: Condition, score: Score | None, *, minus: bool = False) -> Curve | None:
    """A score against alpha; `minus`: its difference from alpha .5, whose band is that of the pairs."""
    if score is None:
        return None
    points = []
    for arm in condition.arms:
        figure = score.arms.get(arm.name)
        if arm.alpha is not None and figure is not None:
            shown = reading(figure, minus=minus) or ((0.0, 0.0, 0.0) if arm.name == BASE_ARM else None)
            if shown is not None:
                points.append((arm.alpha, *shown))
    return Curve(*map(list, zip(*points, strict=True))) if points else None


def reading(figure: ArmFigure, *, minus: bool) -> tuple[float, float, float] | None:
    """A figure, or its difference from alpha .5 where it has one, with the ends of its interval."""
    if not minus:
        return figure.value, figure.low, figure.high
    gap = figure.difference
    return None if gap is None else (gap.estimate, gap.low, gap.high)


# What was found, in sentences made from the figures.

MEANINGS = {
    "H1": "alpha .5 removes the trade-off",
    "H2": "the effect of alpha differs between retrieval-trained languages and others",
    "H3": "alpha .5 prefers the query's own language less than alpha 1",
}
LEVEL_OF_TEST = 0.05


def sentences(study: Ratios, condition: Condition) -> list[str]:
    """What a reader must know of a condition, the tests first."""
    return tests_said(study, condition) + more_said(study, condition)


def tests_said(study: Ratios, condition: Condition) -> list[str]:
    """The hypotheses and what became of them."""
    raw = condition.view()
    if raw is None:
        return []
    primary = study.is_primary(condition, raw)
    said = [_test(test, primary) for test in raw.tests]
    split = languages_as_units(condition)
    if split is not None:
        said.append(
            f"H2 is about these languages. With languages as the units, of all {split.splits} ways to choose as many "
            f"of them {split.as_far} give a difference as large (exact permutation test, p {probability(split.p)})."
        )
    return [
        *said,
        *_elsewhere(study, condition),
        *(f"Not tested: {text.removeprefix('the tests: ')}." for text in raw.missing),
    ]


def languages_as_units(condition: Condition) -> Split | None:
    """H2 with languages as units: alpha .5 minus 0 in those with training pairs against the others.

    None: all languages have the same level, or the level rotates.
    """
    units = [one for one in condition.by_language if one.code not in condition.excluded]
    trained = {one.code for one in units if one.level == TRAINED}
    if not 0 < len(trained) < len(units):
        return None
    return compare_split({one.code: one.minus_cross.estimate for one in units}, trained)


def _elsewhere(study: Ratios, condition: Condition) -> list[str]:
    """The contrast of H2 in the other conditions."""
    name = "H2"
    found = {
        one.name: gap(test.parts[0].effect)
        for one in study.conditions
        if (raw := one.view()) is not None
        for test in raw.tests
        if test.name == name
    }
    others = ", ".join(f"{other} {shown}" for other, shown in found.items() if other != condition.name)
    return [f"The difference of {name} in other conditions: {others}."] if others and condition.name in found else []


def more_said(study: Ratios, condition: Condition) -> list[str]:
    """What else there is to know: whether the tests hold elsewhere, claims of the paper, what centring takes away."""
    raw = condition.view()
    said = []
    if raw is not None:
        if condition.without_shared is not None:
            said.append(_again(raw, condition.without_shared, condition.shared_questions or 0))
        said += _other_checkpoints(condition)
        if raw.claims:
            verdicts = ", ".join(f"{claim.number} {claim.verdict}" for claim in raw.claims)
            said.append(f"Claims of the paper (exploratory): {verdicts}.")
        moved = [one for one in condition.centring if one.verdict == "change of offset"]
        if moved:
            names = "; ".join(f"{SHORT[one.setting, one.metric]}, {one.contrast}" for one in moved)
            said.append(f"Gone after centring, so a change of offset between languages: {names}.")
    return said + [f"Not here: {text}." for text in condition.missing]


_TOLD = {1: "higher", -1: "lower", 0: "not told apart"}
ENDS = {"alpha-0": "Only cross-lingual batches (alpha 0)", "alpha-1": "Only monolingual batches (alpha 1)"}


def ends_said(condition: Condition) -> list[str]:
    """What one kind of batches alone does to MAP, against as many of both, in words; what arms of one's own do."""
    raw = condition.view()
    said = [f"{one.contrast}: {one.reading}." for one in (raw.controls if raw else ()) if one.question == BESIDE_FIRST]
    for arm, words in ENDS.items():
        gaps = [
            (measure_label(*key), figure.difference)
            for key in (MAIN[0], MAIN[2])
            if raw is not None
            and (score := raw.score(*key)) is not None
            and (figure := score.arms.get(arm)) is not None
            and figure.difference is not None
        ]
        parts = [f"{label} is {_TOLD[one.told]} ({gap(one)})" for label, one in gaps]
        if parts:
            said.append(f"{words}, against as many of both kinds (alpha .5): {' and '.join(parts)}.")
    return said


def measure_label(setting: str, metric: str) -> str:
    """Such as `Multilingual MAP`, or the name of a measure of bias."""
    return f"{setting.capitalize()} MAP" if metric == "map" else metric.replace("_", " ").capitalize()


def origins(study: Ratios, condition: Condition) -> list[tuple[str, str]]:
    """Where the figures come from: names and values."""
    total = sum(condition.plans.values())
    plan = f"under the present plan ({study.plan[:12]}…)"
    others = [f"{n} under {digest[:12]}…" for digest, n in condition.plans.items() if digest != study.plan]
    if others:
        plan = f"{condition.plans.get(study.plan, 0)} of {total} runs {plan}; another text: {', '.join(others)}"
    else:
        plan = f"all {total} runs {plan}"
    left = "; ".join(f"{seed}: {why}" for seed, why in condition.left_out.items()) or "none"
    out = ", ".join(f"{code} ({run})" for code, run in condition.excluded.items()) or "none"
    levels: dict[str, list[str]] = {}
    for one in condition.languages:
        levels.setdefault(one.level, []).append(one.code)
    return [
        ("condition", condition.about),
        ("seeds", f"{len(condition.seeds)}: {', '.join(map(str, condition.seeds))}"),
        ("seeds left out", left),
        ("languages left out of averages", out),
        *((level, ", ".join(codes)) for level, codes in levels.items()),
        ("articles", str(condition.articles)),
        ("plan", plan),
    ]


def _test(test: Hypothesis, primary: bool) -> str:
    numbers = f"p {probability(test.adjusted)} by bootstrap"
    if test.adjusted_t is not None:
        numbers += f", {probability(test.adjusted_t)} by t, adjusted"
    yes, no = ("claimed", "not claimed") if primary else ("both agree", "not shown by both")
    where = "" if primary else " (exploratory here)"
    said = f"{test.name}, {MEANINGS[test.name]}{where}: {yes if test.claimed else no} ({numbers})."
    lacking = [in_words(part.name) for part in test.parts if part.p_t is None or max(part.p, part.p_t) > LEVEL_OF_TEST]
    if lacking and len(test.parts) > 1:
        said += f" Not shown alone: {'; '.join(lacking)}."
    return said


def _again(raw: View, without: View, questions: int) -> str:
    before, after = ({test.name: test.claimed for test in view.tests} for view in (raw, without))
    changed = ", ".join(name for name, claimed in after.items() if claimed != before.get(name))
    outcome = "is the same" if before == after else f"changes: {changed}"
    return f"Without the {questions} questions of shared articles and paragraphs the outcome {outcome}."


def _other_checkpoints(condition: Condition) -> list[str]:
    """H1 and H2 at every checkpoint, in one sentence each."""
    said = []
    for name in MEANINGS:
        parts = [
            f"{view.percent}% {'yes' if test.claimed else 'no'}"
            for view in condition.views
            for test in view.tests
            if test.name == name and view.view == "raw"
        ]
        if len(parts) > 1:
            said.append(f"{name} by both p-values at each checkpoint: {', '.join(parts)}.")
    return said


def ratios_markdown(study: Ratios) -> str:
    """The sentences and tables of all conditions, then those of the study, in Markdown."""
    parts: list[str] = []
    for condition in study.conditions:
        parts += [
            f"## {markdown_shown(f'{condition.name}: {condition.about}')}",
            "\n".join(f"- {markdown_shown(text)}" for text in sentences(study, condition)),
            *(table.markdown() for table in condition_tables(study, condition)),
        ]
    parts += (table.markdown() for table in study_tables(study))
    parts += (markdown_shown(f"Not here: {text}.") for text in study.missing)
    return "\n\n".join(parts) + "\n"
