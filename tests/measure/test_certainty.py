"""Every figure of a record has its intervals; they are repeatable; older records gain them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.kit import edit, ran, run
from xqr_bench import evaluate, load_record
from xqr_bench.measure.certainty import MACRO, attach_certainty, figure_contrasts, figures_of
from xqr_bench.measure.paired import verdict
from xqr_bench.measure.panel import merged, sampling_units
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.record import Record, recompute, save_record


def all_scores(record: Record):
    for setting, scores in record.scores.items():
        for part, key, metric, found in scores.items():
            yield (setting, part, key, metric), found


def test_every_figure_has_both_intervals(record: Record) -> None:
    n = 0
    for (setting, part, key, metric), found in all_scores(record):
        if (setting, part) == ("cross-lingual", "by_language_pair"):
            assert found.interval is None
            continue
        if found.value is None:
            assert found.interval is found.article_interval is None
            continue
        n += 1
        interval, article = found.interval, found.article_interval
        assert interval is not None, (setting, part, key, metric)
        assert article is not None, (setting, part, key, metric)
        assert (interval.unit, article.unit) == ("question", "article")
        assert interval.level == article.level == 0.95
        assert interval.low <= interval.high
        assert article.low - 1e-9 <= found.value <= article.high + 1e-9
        assert interval.n_units <= record.task.n_questions
        assert article.n_units <= record.task.n_articles
        assert interval.low - 1e-9 <= found.value <= interval.high + 1e-9, (setting, part, key, metric)
        jackknife = "language_order_w" in metric
        assert interval.method == ("jackknife, t" if jackknife else "bootstrap, percentile, 2000 resamples")
    assert n > 300
    assert record.provenance.seconds["certainty"] > 0


def strip(part: object) -> None:
    if isinstance(part, dict):
        for name in ("interval", "article_interval"):
            part.pop(name, None)
        for value in part.values():
            strip(value)


def test_intervals_that_are_missing_are_differences(record: Record, tmp_path: Path) -> None:
    path = save_record(record, tmp_path / "mini.json")
    edit(path, lambda data: strip(data["scores"]))
    new, differences = recompute(load_record(path, ranks=True))
    n = sum((found.interval is not None) + (found.article_interval is not None) for _, found in all_scores(record))
    assert len(differences) == n
    assert {found.stored for found in differences} == {None}
    assert new.scores == record.scores
    done = run("recompute", str(path))
    assert done.code == 1
    assert "do not follow from its ranks, or are missing; --write mends them" in done.out
    ran("recompute", str(path), "--write")
    ran("recompute", str(path))


def test_an_interval_by_another_method_is_a_difference(record: Record, tmp_path: Path) -> None:
    path = save_record(record, tmp_path / "mini.json")
    older = {"method": "bootstrap, percentile, mine", "low": -5.0, "high": 99.0, "level": 0.5}
    edit(path, lambda data: data["scores"]["multilingual"]["language_order_w_corrected"]["interval"].update(older))
    _, differences = recompute(load_record(path, ranks=True))
    place = "scores.multilingual.language_order_w_corrected.interval."
    assert [found.place.removeprefix(place) for found in differences] == ["low", "high", "level", "method"]


PROGRAM = """
from tests.measure.small import FIGURES, small
from xqr_bench import evaluate
from xqr_bench.measure.paired import compare_pairs
from xqr_bench.measure.panel import panel
record = evaluate("char-ngrams", "mini", limit=6)
print({name: scores.model_dump_json() for name, scores in record.scores.items()})
case = small(3, questions=900, articles=40, step=0.1)
sides = [{("multilingual", "map"): (panel(values, case.units), FIGURES)} for values in (case.of_a, case.of_b)]
for _, _, found in compare_pairs(sides, case.units, 0, 2000):
    print([x.hex() for x in (found.p, found.p_article, found.p_max_t, found.interval.low, found.article_interval.low)])
"""


def test_same_bits_on_any_number_of_threads() -> None:
    outputs = set()
    for threads in ("1", "3"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_one_question_has_no_interval() -> None:
    record = evaluate("char-ngrams", "mini", limit=1)
    assert all(found.interval is None and found.article_interval is None for _, found in all_scores(record))


def test_gaps_to_english(record: Record) -> None:
    values = all_per_query(record.ranks, ["map"])
    for setting, of_metric in values.items():
        contrasts = figure_contrasts(of_metric["map"], record.task.groups)
        keys = {label.key for label in contrasts.labels if label.part == "gap"}
        assert "de - en" in keys
        assert "en - en" not in keys
        group = "joshi-3:into - en:into" if setting == "cross-lingual" else "joshi-3 - en"
        assert group in keys
        gap = contrasts.labels.index((setting, "map", "gap", "de - en"))
        assert contrasts.weights[:, gap].sum() == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("p", "p_article", "says"),
    [(0.01, 0.04, "significant"), (0.01, 0.06, "question level only"), (0.06, 0.01, "not significant")],
)
def test_verdict(p: float, p_article: float, says: str) -> None:
    assert verdict(p, p_article) == says


@pytest.mark.parametrize(
    ("p_article", "n_articles", "family", "says"),
    [
        (0.0938, 6, 3, "too few articles"),  # 2^-5 x 3 = .0938
        (0.06, 6, 1, "question level only"),  # 2^-5 = .0312
        (0.06, 7, 3, "question level only"),  # 2^-6 x 3 = .0469
        (0.06, 7, 4, "too few articles"),
        (1.0, 1, 1, "too few articles"),
        (0.04, 6, 18, "significant"),  # max-T adjusts by less than the number
        (0.06, 48, 110, "question level only"),
    ],
)
def test_too_few_articles(p_article: float, n_articles: int, family: int, says: str) -> None:
    """The least p of G articles is 2^(1-G); where that times the family exceeds .05, articles cannot judge."""
    assert verdict(0.01, p_article, n_articles, family) == says
    assert verdict(0.06, p_article, n_articles, family) == "not significant"


def test_macro_averages_from_fewer_columns_are_the_same_but_for_rounding(record: Record) -> None:
    ranks, task = record.ranks, record.task
    values = all_per_query(ranks, task.metrics, task.settings)
    scores, _ = score(values, task.groups, details=False)
    exact, fast = (
        attach_certainty(scores, values, ranks, task.groups, details=False, to_the_bit=to_the_bit)
        for to_the_bit in (True, False)
    )
    ends = [
        (interval.low, interval.high)
        for of in (exact, fast)
        for setting in of.values()
        for *_, figure in setting.items()
        for interval in (figure.interval, figure.article_interval)
        if interval is not None
    ]
    half = len(ends) // 2
    assert half > 30
    assert np.array(ends[:half]) == pytest.approx(np.array(ends[half:]), rel=1e-12, abs=1e-14)


def test_only_means_over_the_same_questions_are_merged(record: Record) -> None:
    units = sampling_units(record.ranks)
    figures = figures_of(all_per_query(record.ranks, record.task.metrics), units, parts=(MACRO,))
    cells = {name: len(merged(*figure)[0].cells) for name, figure in figures.items()}
    assert cells["cross-lingual", "map"] == 1
    assert (
        cells["multilingual", "language_order_w_corrected"]
        == len(figures["multilingual", "language_order_w_corrected"][0].cells)
        > 1
    )
    panel, contrasts = figures["cross-lingual", "map"]
    gone = panel.counts.copy()
    gone[0, 0] = 0.0
    few = replace(panel, counts=gone)
    assert merged(few, contrasts)[0] is few
