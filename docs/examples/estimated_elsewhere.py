"""Does a transform need the very texts that are ranked? Estimated on them, and on the texts of another task.

    python estimated_elsewhere.py ENCODER TASK OTHER

In the languages that both tasks have. Prints MAP, and its difference from the untouched vectors with half of the 95%
interval over questions, after 2,000 resamples, as `xqr-bench remedies` does.
"""

import sys
from dataclasses import replace

import numpy as np

from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.encode.transform import Source, TransformOptions, transform_vectors
from xqr_bench.measure.certainty import MACRO, Figures, figures_of
from xqr_bench.measure.panel import sampling_units
from xqr_bench.measure.resampling import bootstrap, percentile_interval
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.exact import Ranks, exact_ranks
from xqr_bench.report.numbers import number, signed
from xqr_bench.tasks import load_task

NAMES = ("center", "remove-1", "whiten", "shift-en", "leace", "transport-en@0.5", "transport-en@0.75", "transport-en")
SEED = 0


def figures(ranks: Ranks) -> Figures:
    """The macro averages of MAP and of own-language first."""
    values = all_per_query(ranks, ["map", "own_language_first"], ["monolingual", "multilingual"])
    wanted = [("monolingual", "map"), ("multilingual", "map"), ("multilingual", "own_language_first")]
    found = figures_of(values, sampling_units(ranks), parts=(MACRO,))
    return {name: found[name] for name in wanted}


def cells(before: Figures, after: Figures) -> str:
    """Each figure afterwards, its difference, and half of the interval of that."""
    names = list(after)
    drawn = bootstrap([one[name] for name in names for one in (before, after)], np.random.default_rng(SEED))
    text = []
    for place, name in enumerate(names):
        (old, contrasts), (new, _) = before[name], after[name]
        low, high = percentile_interval(drawn.values[2 * place + 1] - drawn.values[2 * place], 0.95)
        value, was = (float(contrasts.apply(one.estimate)[0]) for one in (new, old))
        text.append(f"{number(value)} | {signed(value - was)} ±{number((high[0] - low[0]) / 2)}")
    return " | ".join(text)


def main(encoder: str, name: str, other: str) -> None:
    """Print a row of a table in Markdown for each transform and source."""
    codes = [code for code in load_task(name).languages if code in load_task(other).languages]
    task, elsewhere = (replace(load_task(one, languages=codes), relevance=()) for one in (name, other))
    embedded = embed_tasks(load_encoder(encoder), [task, elsewhere])
    own, source = embedded[task.name], Source(elsewhere, embedded[elsewhere.name])
    plain = figures(exact_ranks(task, own.queries, own.candidates))
    print(f"{task.name} in {', '.join(codes)}")
    print("| transform | estimated on | monolingual MAP | | multilingual MAP | | own first | |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    print(f"| untouched | | {cells(plain, plain)} |")
    for transform in NAMES:
        for where in (None, source):
            made = transform_vectors(task, own, TransformOptions(transform), source=where)
            moved = figures(exact_ranks(task, made.queries, made.candidates))
            print(f"| `{transform}` | {task.name if where is None else elsewhere.name} | {cells(plain, moved)} |")


if __name__ == "__main__":
    main(*sys.argv[1:4])
