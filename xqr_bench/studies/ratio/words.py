"""What the study found, in sentences; and scores against the ratio, with their bands."""

from __future__ import annotations

from dataclasses import dataclass

from xqr_bench.core.printable import markdown_shown
from xqr_bench.report.numbers import probability
from xqr_bench.studies.ratio.form import BASE_ARM, Condition, Hypothesis, Ratios, Score, View
from xqr_bench.studies.ratio.tables import SHORT, condition_tables, study_tables

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
    made = Curve([], [], [], [])
    for arm in condition.arms:
        figure = score.arms.get(arm.name)
        if arm.alpha is None or figure is None:
            continue
        shown = (figure.value, figure.low, figure.high)
        if minus:
            gap = figure.difference
            if gap is None and arm.name != BASE_ARM:
                continue
            shown = (0.0, 0.0, 0.0) if gap is None else (gap.estimate, gap.low, gap.high)
        made.alphas.append(arm.alpha)
        for values, value in zip((made.values, made.low, made.high), shown, strict=True):
            values.append(value)
    return made if made.alphas else None


# What was found, in sentences made from the figures.

MEANINGS = {
    "H1": "alpha .5 removes the trade-off",
    "H2": "the effect of alpha differs between retrieval-trained languages and others",
}
LEVEL_OF_TEST = 0.05


def sentences(study: Ratios, condition: Condition) -> list[str]:
    """What a reader must know of a condition, the tests first."""
    raw = condition.view()
    said = []
    if raw is not None:
        primary = study.is_primary(condition, raw)
        said += [_test(test, primary) for test in raw.tests]
        said += [f"Not tested: {text}." for text in raw.missing]
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


def origins(study: Ratios, condition: Condition) -> list[tuple[str, str]]:
    """Where the figures come from: names and values."""
    total = sum(condition.plans.values())
    present = condition.plans.get(study.plan, 0)
    others = {digest: count for digest, count in condition.plans.items() if digest != study.plan}
    plan = f"all {total} runs under the present plan ({study.plan[:12]}…)"
    if others:
        elsewhere = ", ".join(f"{count} under {digest[:12]}…" for digest, count in others.items())
        plan = f"{present} of {total} runs under the present plan ({study.plan[:12]}…); another text: {elsewhere}"
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
    name = f"{test.name}, {MEANINGS[test.name]}"
    if not primary:
        shown = "both agree" if test.claimed else "not shown by both"
        return f"{name} (exploratory here): {shown} ({numbers}).{_lacking(test)}"
    return f"{name}: {'claimed' if test.claimed else 'not claimed'} ({numbers}).{_lacking(test)}"


def _lacking(test: Hypothesis) -> str:
    """The parts that are not shown, each alone at 5%."""
    lacking = [
        part.name for part in test.parts if part.p > LEVEL_OF_TEST or part.p_t is None or part.p_t > LEVEL_OF_TEST
    ]
    if not lacking or len(test.parts) == 1:
        return ""
    return f" Not shown alone: {'; '.join(lacking)}."


def _again(raw: View, without: View, questions: int) -> str:
    before, after = ({test.name: test.claimed for test in view.tests} for view in (raw, without))
    if before == after:
        return f"Without the {questions} questions of shared articles and paragraphs the outcome is the same."
    changed = ", ".join(name for name, claimed in after.items() if claimed != before.get(name))
    return f"Without the {questions} questions of shared articles and paragraphs the outcome changes: {changed}."


def _other_checkpoints(condition: Condition) -> list[str]:
    """H1 and H2 at every checkpoint, in one sentence each."""
    said = []
    for name in MEANINGS:
        parts = []
        for view in condition.views:
            test = next((one for one in view.tests if one.name == name), None)
            if test is not None and view.view == "raw":
                parts.append(f"{view.percent}% {'yes' if test.claimed else 'no'}")
        if len(parts) > 1:
            said.append(f"{name} by both p-values at each checkpoint: {', '.join(parts)}.")
    return said


def ratios_markdown(study: Ratios) -> str:
    """The sentences and tables of all conditions, then those of the study, in Markdown."""
    parts: list[str] = []
    for condition in study.conditions:
        parts.append(f"## {markdown_shown(f'{condition.name}: {condition.about}')}")
        parts.append("\n".join(f"- {markdown_shown(text)}" for text in sentences(study, condition)))
        parts += [table.markdown() for table in condition_tables(study, condition)]
    parts += [table.markdown() for table in study_tables(study)]
    return "\n\n".join(parts) + "\n"
