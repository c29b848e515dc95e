"""Which measures order encoders alike: Kendall's rank correlation of each with each, over records of two tasks.

    python measures.py RECORD|FOLDER...

Below the diagonal over the records of the first task, above it over those of the second, as a Markdown table. Two
records with the same ranks count once; the floor (random), the ceiling (oracle) and tasks without all three settings
are left out. A measure that a task does not define has a dash.
"""

import sys
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import kendalltau

from xqr_bench import load_record
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import Record, record_files

SCORES = [("monolingual", "map"), ("cross-lingual", "map"), ("multilingual", "map")]


def figures(records: Sequence[Record], setting: str, metric: str) -> np.ndarray:
    """The macro averages of a measure, a record each; NaN where it is not defined."""
    scores = (record.scores[setting].macro.get(metric) for record in records)
    return np.array([np.nan if score is None or score.value is None else score.value for score in scores])


def correlations(records: Sequence[Record], measures: Sequence[tuple[str, str]]) -> np.ndarray:
    """Kendall's tau-b of each measure with each, over the records that have both."""
    columns = [figures(records, *measure) for measure in measures]

    def tau(a: np.ndarray, b: np.ndarray) -> float:
        both = ~(np.isnan(a) | np.isnan(b))
        return float(kendalltau(a[both], b[both]).statistic) if both.sum() > 2 else np.nan

    return np.array([[tau(a, b) for b in columns] for a in columns])


def main(paths: Iterable[str]) -> None:
    """Print the table."""
    tasks: dict[str, dict[str, Record]] = {}
    for record in map(load_record, record_files(paths)):
        whole = all(setting in record.task.settings for setting, _ in SCORES)
        if whole and record.model.name not in ("random", "oracle"):
            tasks.setdefault(record.task.name, {}).setdefault(record.ranks_file.digest, record)
    if len(tasks) != 2:
        sys.exit(f"records of two tasks are needed, and these are of: {', '.join(tasks)}")
    (two, second), (one, first) = ((name, list(of_task.values())) for name, of_task in sorted(tasks.items()))
    names = dict.fromkeys(name for record in (*first, *second) for name in record.task.metrics)
    bias = [("multilingual", name) for name in names if parse_metric(name).kind == "bias"]
    measures = [*SCORES, *bias]
    below, above = correlations(first, measures), correlations(second, measures)
    print(f"Kendall's tau-b: below the diagonal {one} ({len(first)} records), above it {two} ({len(second)})\n")
    print("| |", " | ".join(str(i) for i in range(1, len(measures) + 1)), "|")
    print("|---|", "---:|" * len(measures), sep="")
    for i, (setting, name) in enumerate(measures):
        values = [(above if i < j else below)[i, j] for j in range(len(measures))]
        cells = ["" if i == j else "–" if np.isnan(v) else f"{v:+.2f}".replace("0.", ".") for j, v in enumerate(values)]
        print(f"| {i + 1} {f'{setting} MAP' if name == 'map' else name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
