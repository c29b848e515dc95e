"""What the comparisons of one task are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from xqr_bench.certainty import FigureName, Units, compare_pairs, figures_of
from xqr_bench.comparison.choice import Cells
from xqr_bench.comparison.gather import Side, TaskRecords
from xqr_bench.metrics.per_query import PerQuery
from xqr_bench.record import relevance_ranks
from xqr_bench.relevance import variant_metrics, variant_values
from xqr_bench.scores import Group
from xqr_bench.stats.bootstrap import bootstrap
from xqr_bench.stats.bounds import LEVEL, question_bounds
from xqr_bench.stats.contrasts import Contrasts
from xqr_bench.stats.linear import joined, linearised_difference
from xqr_bench.stats.paired import Pair, PairedResult, paired
from xqr_bench.stats.panel import Panel
from xqr_bench.types import STRICT


def names_of(contrasts: Contrasts) -> list[FigureName]:
    """The labels of figures made by `figures_of`."""
    return [name_of(label) for label in contrasts.labels]


def name_of(label: object) -> FigureName:
    """A label made by `figures_of`."""
    if not isinstance(label, FigureName):
        raise TypeError(f"{label!r} is no FigureName")
    return label


@dataclass(frozen=True)
class Material:
    """What the comparisons of one task are made from.

    Attributes:
        task: its name.
        metrics: those that all records hold.
        sides: the records.
        values: of each record, setting -> metric -> per-query values.
        units: questions and articles.
        groups: the language groups that all records define alike.
        seed: every test draws anew from it, so that no figure depends on what else is asked for.
        resamples: B of the tests.
        relevance: the rule of relevance of the values.
    """

    task: str
    metrics: tuple[str, ...]
    sides: tuple[Side, ...]
    values: tuple[Mapping[str, Mapping[str, PerQuery]], ...]
    units: Units
    groups: Mapping[str, Group]
    seed: int
    resamples: int
    relevance: str = STRICT

    @property
    def generator(self) -> np.random.Generator:
        """A fresh generator at the seed."""
        return np.random.Generator(np.random.PCG64(self.seed))

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Indices of the records of each pair: every later one against every earlier one."""
        return list(combinations(range(len(self.sides)), 2))

    def compared(self, cells: Cells, *, together: bool = False) -> list[tuple[int, int, PairedResult]]:
        """The chosen figures of every pair of records (a, b); the figures of a pair are tested together.

        With `together`, max-T adjusts over those of all pairs.

        Questions are resampled once for all records: the resampled difference of two is that of their resampled
        figures.
        """
        sides = [self.figures(index, cells) for index in range(len(self.sides))]
        every = [figure for side in sides for figure in side.values()]
        if not every:
            return []
        # the stream that `paired` takes for its intervals
        drawn = bootstrap(every, self.generator.spawn(3)[2])
        values = iter(drawn.values)
        replicates = [{name: next(values) for name in side} for side in sides]
        joint = compare_pairs(sides, self.units, self.generator, self.resamples) if together else []
        result = []
        for a, b in self.pairs:
            names = [name for name in sides[a] if name in sides[b]]
            if not names:
                continue
            pairs = [Pair(sides[a][name][0], sides[b][name][0], sides[a][name][1]) for name in names]
            resampled = np.hstack([replicates[b][name] - replicates[a][name] for name in names])
            if together:
                found = [one for first, second, one in joint if (first, second) == (a, b)]
                linearised = joined([linearised_difference(one.a, one.b, one.contrasts, self.units) for one in pairs])
            else:
                tested = paired(pairs, self.units, self.generator, resamples=self.resamples, bootstrap_resamples=0)
                found, linearised = list(tested), tested.linearised
            intervals = question_bounds(resampled, linearised, LEVEL, drawn.redrawn)
            result += [(a, b, replace(one, interval=bounds)) for one, bounds in zip(found, intervals, strict=True)]
        return result

    def figures(self, side: int, cells: Cells) -> dict[tuple[str, str], tuple[Panel, Contrasts]]:
        """(setting, metric) -> the chosen figures of one record that are defined."""
        found = {}
        for panel, contrasts in figures_of(
            self.values[side],
            self.units,
            self.groups,
            parts=cells.parts,
            metrics=cells.metrics,
            settings=cells.settings,
        ):
            names = names_of(contrasts)
            # an undefined figure would spoil the joint tests of all others
            defined = np.isfinite(contrasts.apply(panel.estimate))
            chosen = [index for index, name in enumerate(names) if cells.holds(name) and defined[index]]
            if chosen:
                found[names[0].setting, names[0].metric] = (panel, contrasts.select(chosen))
        return found


def gather_values(records: TaskRecords, seed: int, resamples: int, relevance: str = STRICT) -> Material:
    """Compute the per-query values of all metrics that the records share under a rule of relevance."""
    first = records.sides[0].record.task
    metrics = tuple(name for name in first.metrics if all(name in side.record.task.metrics for side in records.sides))
    groups = {
        name: group
        for name, group in first.groups.items()
        if all(side.record.task.groups.get(name) == group for side in records.sides)
    }
    metrics = tuple(variant_metrics(relevance, metrics))
    values = tuple(
        variant_values(relevance, relevance_ranks(side.record, relevance), metrics, first.settings)
        for side in records.sides
    )
    return Material(records.task, metrics, records.sides, values, records.units, groups, seed, resamples, relevance)
