"""All pairs of many records by the sums of each record, against the literal form: the differences of every pair."""

from __future__ import annotations

import numpy as np
import pytest

from tests.measure.small import CELLS, small
from xqr_bench.core.errors import UsageError
from xqr_bench.measure.certainty import MACRO, Figures, figures_of
from xqr_bench.measure.contest import Contribution, contest_tests
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.paired import compare_pairs, confirm
from xqr_bench.measure.panel import Units

SETTINGS = ("monolingual", "multilingual")


def contest(n: int, *, questions: int = 30, articles: int = 9, step: float = 0.0) -> tuple[list[Figures], Units]:
    """Records of which some are alike, and two the same; some questions lack languages, one setting lacks questions."""
    first = small(3, questions, articles, step=step)
    cell, query = first.of_a.cell, first.of_a.queries
    generator = np.random.default_rng(n)
    easy = generator.random(len(query))
    sides = []
    for record in range(n):
        values = np.clip(easy + generator.normal(0.02 * (record // 2), 0.1 + 0.1 * (record % 3), len(query)), 0, 1)
        if step:
            values = np.round(values / step) * step
        if record == n - 1 and n > 3:
            values = sides[1]
        sides.append(values)
    few = query[first.units.question < questions - 4]

    def of(values: np.ndarray, setting: str) -> PerQuery:
        there = np.isin(query, few) if setting == "monolingual" else np.ones(len(query), dtype=bool)
        return PerQuery(
            parse_metric("map"), setting, CELLS, cell[there], query[there], values[there], np.zeros(there.sum())
        )

    figures = [
        figures_of({setting: {"map": of(values, setting)} for setting in SETTINGS}, first.units, parts=(MACRO,))
        for values in sides
    ]
    return figures, first.units


@pytest.mark.parametrize(
    ("n", "step", "articles"), [(2, 0.0, 9), (3, 0.0, 9), (5, 0.0, 3), (9, 0.0, 12), (9, 0.25, 12), (6, 0.5, 30)]
)
def test_all_pairs_as_the_differences_of_each_pair(n: int, step: float, articles: int) -> None:
    sides, units = contest(n, step=step, articles=articles)
    tests = confirm(compare_pairs(sides, units, 7, 1_300, together=True, intervals=False))
    literal = {(one.a, one.b, one.result.label.setting): one for one in tests}
    found = contest_tests([Contribution.of(side) for side in sides], units, 7, 1_300)
    assert found.p.shape == (n * (n - 1) // 2, 2)
    for (a, b, setting), one in literal.items():
        test = found.test(b, a, SETTINGS.index(setting))
        assert (test.p, test.p_article) == (one.p_adjusted, one.p_article_adjusted), (a, b, setting)
        assert test.verdict == one.verdict(len(literal))


def test_many_pairs_are_gone_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sides, units = contest(12)
    records = [Contribution.of(side) for side in sides]
    whole = contest_tests(records, units, 1, 300)
    monkeypatch.setattr("xqr_bench.measure.contest.PAIRS_AT_ONCE", 7)
    parts = contest_tests(records, units, 1, 300)
    assert (whole.p == parts.p).all()
    assert (whole.p_article == parts.p_article).all()


def test_other_questions_are_refused() -> None:
    sides, units = contest(3)
    records = [Contribution.of(side) for side in sides]
    records[1] = replace_present(records[1])
    with pytest.raises(UsageError, match="same questions"):
        contest_tests(records, units)


def replace_present(record: Contribution) -> Contribution:
    present = record.present.copy()
    present[0] = 1.0 - present[0]
    return record._replace(present=present)
