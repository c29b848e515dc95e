"""Every language pair of two records, adjusted over the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xqr_bench.certainty import FigureName
from xqr_bench.comparison.choice import Cells, Choice, check_names
from xqr_bench.comparison.compare import check_numbers
from xqr_bench.comparison.differences import MAX_T, exploratory
from xqr_bench.comparison.gather import gather
from xqr_bench.comparison.material import gather_values
from xqr_bench.comparison.model import Comparison
from xqr_bench.errors import UsageError
from xqr_bench.metrics import parse_metric
from xqr_bench.stats.signs import RESAMPLES
from xqr_bench.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, STRICT


@dataclass(frozen=True)
class PairMap:
    """A difference for each query and candidate language.

    Attributes:
        task: title of the task.
        a, b: labels of the records.
        metric: its name.
        relevance: the rule of relevance of both.
        languages: in the order of the task.
        cells: (query language, candidate language) -> comparison, adjusted by max-T over all of them.
    """

    task: str
    a: str
    b: str
    metric: str
    relevance: str
    languages: tuple[str, ...]
    cells: dict[tuple[str, str], Comparison]


@dataclass(frozen=True)
class _PairCells(Cells):
    """Each language pair once: the monolingual setting is the diagonal."""

    @property
    def parts(self) -> tuple[str, ...]:
        return ("by_query_language", "by_language_pair")

    def holds(self, name: FigureName) -> bool:
        part = "by_query_language" if name.setting == MONOLINGUAL else "by_language_pair"
        return name.part == part and name.setting in self.settings


def pair_maps(
    paths: Sequence[Path | str],
    metric: str,
    *,
    relevance: str = STRICT,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[PairMap]:
    """Compare two records of each task in every language pair.

    Args:
        paths: two records of each task.
        metric: a score, or `language_position`.
        relevance: the rule of relevance (docs/relevance.md).
        seed, resamples: as for `compare`.

    Raises:
        UsageError: a task has not exactly two records, or the metric has no value per language pair.
    """
    check_numbers(seed, resamples)
    found = parse_metric(metric)
    tasks = gather(paths)
    choice = Choice(metrics=(metric,), relevance=relevance)
    check_names(choice, [side.record.task for task in tasks for side in task.sides])
    settings = (MULTILINGUAL,) if found.per_row else (MONOLINGUAL, CROSS_LINGUAL)
    result = []
    for records in tasks:
        if len(records.sides) != 2:
            raise UsageError(
                f"a map of differences needs two records of {records.task}",
                found=str(len(records.sides)),
                remedy="name two",
            )
        material = gather_values(records, seed, resamples, relevance)
        cells = _PairCells((found.name,), frozenset(), settings, frozenset(), frozenset(), ())
        comparisons = exploratory(material, cells, MAX_T)
        if not comparisons:
            raise UsageError(f"{found.name} has no value for a language pair", remedy="choose another metric, or kind")
        info = records.sides[0].record.task
        result.append(
            PairMap(
                info.title,
                material.sides[0].label,
                material.sides[1].label,
                found.name,
                relevance,
                tuple(info.languages),
                {_pair(one): one for one in comparisons},
            )
        )
    return result


def _pair(comparison: Comparison) -> tuple[str, str]:
    query, _, candidate = comparison.key.partition(">")
    return query, candidate or query
