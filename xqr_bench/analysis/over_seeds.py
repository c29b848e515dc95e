"""Arms of several training runs among the compared records: their differences over seeds and questions together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from xqr_bench.analysis.choice import Cells, OverSeeds
from xqr_bench.analysis.compared import Compared, Side
from xqr_bench.core.printable import json_shown, shown_line
from xqr_bench.core.types import MAIN_METRIC
from xqr_bench.measure.linear import linearise
from xqr_bench.measure.paired import verdict
from xqr_bench.measure.resampling import holm
from xqr_bench.measure.seeds import two_way

SEED = "seed"


def arms_of(sides: Sequence[Side]) -> dict[str, list[int]]:
    """Name of an arm -> numbers of its records: two or more whose `run_group` is the same but for its seed.

    An arm is named by what tells it from the others. Records with one seed, or with the same ranks, are no two draws
    of a seed: they make no arm.
    """
    return {name: numbers for name, numbers in _groups(sides).items() if _are_seeds(sides, numbers)}


def _groups(sides: Sequence[Side]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for number, side in enumerate(sides):
        record = side.record
        if record.run_group:
            fixed = {key: value for key, value in record.run_group.items() if key != SEED}
            if record.transform is not None:
                fixed["transform"] = record.transform.label
            if record.quantization is not None:
                fixed["quantization"] = record.quantization.label
            groups.setdefault(json.dumps(fixed, sort_keys=True), []).append(number)
    arms = {key: numbers for key, numbers in groups.items() if len(numbers) > 1}
    facts = [json.loads(key) for key in arms]
    keys = sorted({key for of_arm in facts for key in of_arm})
    differing = [key for key in keys if len({json.dumps(of_arm.get(key)) for of_arm in facts}) > 1] or keys
    names = [shown_line(", ".join(f"{of_arm.get(key)}" for key in differing)) for of_arm in facts]
    if len(set(names)) < len(names):  # such as 1 and "1"
        names = [json_shown(json.dumps(of_arm, ensure_ascii=False)) for of_arm in facts]
    return dict(zip(names, arms.values(), strict=True))


def _are_seeds(sides: Sequence[Side], numbers: Sequence[int]) -> bool:
    records = [sides[number].record for number in numbers]
    seeds = {json.dumps((record.run_group or {}).get(SEED)) for record in records}
    return "null" not in seeds and len(seeds) == len({one.ranks_file.digest for one in records}) == len(records)


def about_arms(sides: Sequence[Side]) -> list[str]:
    """Notes where the records have seeds of one arm alone, or one seed several times: nothing is said over seeds."""
    arms = arms_of(sides)
    notes = [
        f"{', '.join(sides[number].label for number in numbers)} share a run_group ({name}), but not each has a seed "
        "and ranks of its own: they are not compared over seeds"
        for name, numbers in _groups(sides).items()
        if name not in arms
    ]
    return [*notes, *_lone_arm(sides, arms)]


def _lone_arm(sides: Sequence[Side], arms: dict[str, list[int]]) -> list[str]:
    if len(arms) != 1:
        return []
    ((name, numbers),) = arms.items()
    return [
        f"{', '.join(sides[number].label for number in numbers)} are seeds of one arm ({name}): what differs between "
        "them is the seed; over seeds an arm is compared with another one, of two seeds or more"
    ]


def over_seeds(compared: Compared) -> list[OverSeeds]:
    """MAP of every pair of arms in each setting, seeds and questions (articles) drawn together; Holm over all."""
    arms = arms_of(compared.sides)
    cells = Cells((MAIN_METRIC,), tuple(compared.info.settings))
    if len(arms) < 2 or MAIN_METRIC not in compared.info.metrics:
        return []
    figures = compared.figures(cells)
    made = []
    for (a, first), (b, second) in combinations(arms.items(), 2):
        for place, (_, contrasts) in figures[first[0]].items():
            panels = [[figures[number][place][0] for number in numbers] for numbers in (first, second)]
            of_a, of_b = (np.array([contrasts.apply(one.estimate)[0] for one in of_arm]) for of_arm in panels)
            means = [replace(of_arm[0], sums=np.mean([one.sums for one in of_arm], axis=0)) for of_arm in panels]
            linear = linearise(means[1], contrasts, compared.units, minus=means[0])
            question = two_way(of_a, of_b, float(linear.standard_error[0]), int(linear.n_questions[0]))
            article = two_way(of_a, of_b, float(linear.article_standard_error[0]), int(linear.n_articles[0]))
            values = float(of_a.mean()), float(of_b.mean())
            made.append((place[0], a, b, len(first), len(second), values, question, article))
    adjusted = holm([one[-2].p for one in made]), holm([one[-1].p for one in made])
    return [
        OverSeeds(
            task=compared.info.name,
            a=a,
            b=b,
            seeds_a=n_a,
            seeds_b=n_b,
            setting=setting,
            metric=MAIN_METRIC,
            value_a=value_a,
            value_b=value_b,
            difference=value_b - value_a,
            interval=(question.low, question.high),
            article_interval=(article.low, article.high),
            p=question.p,
            p_article=article.p,
            p_adjusted=float(p),
            p_article_adjusted=float(p_article),
            verdict=verdict(float(p), float(p_article)).replace("not significant", "not distinguishable"),
        )
        for (setting, a, b, n_a, n_b, (value_a, value_b), question, article), p, p_article in zip(
            made, *adjusted, strict=True
        )
    ]
