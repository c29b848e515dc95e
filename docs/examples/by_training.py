"""Mean accuracy on Tatoeba of the languages that an encoder's training had, and of those it had not.

    python by_training.py RECORD...

XLM-R, whose text and tokens multilingual-e5-small builds on, was trained on CC-100: a language is in it where the table
of languages has a size of its part (docs/languages.md). USE names its languages (Yang et al. 2019, arXiv 1907.04307).
The intervals are the 95% intervals of 2,000 resamples of the questions, as those of a record.
"""

import sys

import numpy as np

from xqr_bench import load_record
from xqr_bench.core.languages import language
from xqr_bench.measure.certainty import figures_of, interval_figures
from xqr_bench.measure.panel import sampling_units
from xqr_bench.measure.scores import Group, all_per_query

METRIC, SETTING, SEED = "success@1", "cross-lingual", 0
USE = ("ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")


def groups(codes: list[str]) -> dict[str, Group]:
    """Names of groups -> their languages, of those that are there."""
    rows = {code: language(code) for code in codes}
    sized = {code for code, row in rows.items() if row is not None and row.cc100_gib}
    classes = {code: None if row is None else row.resource_class for code, row in rows.items()}
    members = {
        "CC-100 has": sized,
        "CC-100 has not": set(codes) - sized,
        "USE was trained on": set(USE),
        "USE was not trained on": set(codes) - set(USE),
        **{f"resource class {number}": {code for code in codes if classes[code] == number} for number in range(6)},
        "resource class unknown": {code for code in codes if classes[code] is None},
    }
    chosen = {name: tuple(code for code in codes if code in wanted) for name, wanted in members.items()}
    return {name: Group(languages=those) for name, those in chosen.items() if those}


for path in sys.argv[1:]:
    record = load_record(path, ranks=True, whole=False)
    ranks = record.ranks
    of_groups = groups(list(dict.fromkeys(ranks.query_languages)))
    values, units = all_per_query(ranks, [METRIC], [SETTING]), sampling_units(ranks)
    figures = figures_of(values, units, of_groups, parts=("by_group",))
    intervals = interval_figures(figures, units, np.random.Generator(np.random.PCG64(SEED)))
    means = {cell.query: [] for cell in values[SETTING][METRIC].cells}
    scored = values[SETTING][METRIC]
    for cell, value in zip(scored.cell.tolist(), scored.values.tolist(), strict=True):
        means[scored.cells[cell].query].append(value)
    print(record.model.name)
    for name, both in intervals.items():
        group, _, _ = name.key.partition(":")
        accuracy = [float(np.mean(means[code])) for code in of_groups[group].languages]
        half = (both.interval.high - both.interval.low) / 2
        print(
            f"  {group:<24} {len(accuracy):>3} languages  {np.mean(accuracy):.3f} ±{half:.3f}"
            f"  {min(accuracy):.3f} to {max(accuracy):.3f}"
        )
