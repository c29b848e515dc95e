"""Scores by query language beside how much text there is of each: a description of these languages, no test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xqr_bench.languages import LANGUAGES
from xqr_bench.record import Record
from xqr_bench.report.plain import PlainTable
from xqr_bench.report.terminal import number

LEAST = 4
"""Languages that a rank correlation is printed for, at least."""


class Correlation(NamedTuple):
    """Spearman's rank correlation of a covariate with a score over languages."""

    covariate: str
    setting: str
    languages: int
    rho: float


def covariates(code: str) -> dict[str, float | None]:
    """How much there is of a language, by three counts; None where it is not known (sources: `xqr_bench.languages`)."""
    row = LANGUAGES.get(code)
    return {
        "class": None if row is None else float(row.resource_class),
        "CC-100, GiB": None if row is None else row.cc100_gib,
        "Wikipedia": None if row is None or row.wikipedia_articles is None else float(row.wikipedia_articles),
    }


def scores_by_language(record: Record, metric: str) -> dict[str, dict[str, float]]:
    """Setting -> query language -> value, where it is defined."""
    found: dict[str, dict[str, float]] = {}
    for setting, scores in record.scores.items():
        for code, of_metric in scores.by_query_language.items():
            score = of_metric.get(metric)
            if score is not None and score.value is not None:
                found.setdefault(setting, {})[code] = score.value
    return found


def spearman(x: Mapping[str, float | None], y: Mapping[str, float]) -> tuple[float, int] | None:
    """Spearman's rho over the languages that have both, and their number; None below LEAST or without variation."""
    from scipy import stats

    pairs = [(value, y[code]) for code, value in x.items() if value is not None and code in y]
    columns = [[a for a, _ in pairs], [b for _, b in pairs]]
    if len(pairs) < LEAST or any(len(set(column)) == 1 for column in columns):
        return None
    return float(stats.spearmanr(*columns).statistic), len(pairs)


def correlations(record: Record, metric: str) -> list[Correlation]:
    """Every covariate with every setting."""
    table = {code: covariates(code) for code in record.task.languages}
    result = []
    for setting, scores in scores_by_language(record, metric).items():
        for name in covariates(""):
            found = spearman({code: of[name] for code, of in table.items()}, scores)
            if found is not None:
                result.append(Correlation(name, setting, found[1], found[0]))
    return result


def language_tables(record: Record, metric: str) -> list[PlainTable]:
    """A row a language, and the rank correlations."""
    scores = scores_by_language(record, metric)
    names = list(covariates(""))

    def covariate(value: float | None) -> str:
        return "–" if value is None else f"{value:,.1f}" if value % 1 else f"{value:,.0f}"

    head = f"{record.model.name}, {record.task.name}"
    table = PlainTable(
        f"{head}: {metric} by query language",
        ("language", *names, *scores),
        tuple(
            (code, *map(covariate, covariates(code).values()), *(number(of.get(code)) for of in scores.values()))
            for code in record.task.languages
        ),
        notes=("Classes: Joshi et al. 2020; CC-100: Conneau et al. 2020; Wikipedia: August 2020 (docs/languages.md).",),
    )
    found = correlations(record, metric)
    if not found:
        return [table]
    rhos = {(one.covariate, one.setting): one for one in found}
    languages = max(one.languages for one in found)
    return [
        table,
        PlainTable(
            f"{head}: Spearman's rho with {metric}",
            ("", *scores),
            tuple(
                (name, *(f"{rhos[name, s].rho:+.2f}" if (name, s) in rhos else "–" for s in scores)) for name in names
            ),
            notes=(
                f"A description of these {languages} languages: no test, and no claim about others.",
                "The counts go together with script, family and how the texts were translated.",
            ),
        ),
    ]
