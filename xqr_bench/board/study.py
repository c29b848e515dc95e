"""The command that makes a record of the ratio study again."""

from __future__ import annotations

import shlex
from typing import Any

from xqr_bench.record import Record

_OPTIONS = ("learning_rate", "temperature", "batch_size", "precision", "mini_batch")


def study_command(record: Record) -> str | None:
    """`xqr-bench sweep ...` with the numbers that the record was made with; None where it is of no sweep.

    What the record says is anybody's word: only plain values come into the command, quoted.
    """
    group, training = record.run_group or {}, record.training or {}
    if group.get("study") != "ratio" or not isinstance(training.get("recipe"), dict):
        return None
    recipe, base = training["recipe"], training.get("base")
    options: dict[str, Any] = {
        "condition": group.get("condition"),
        "arm": group.get("arm"),
        "seeds": group.get("seed"),
        "base": base.get("spec") if isinstance(base, dict) else None,
        "recipe": recipe.get("name"),
        "updates": group.get("updates") or None,  # an arm without training has none
        **{name: recipe.get(name) for name in _OPTIONS},
        "align_updates": _align_updates(training),
    }
    words = ["xqr-bench", "sweep", "--output", "study"]
    for name, value in options.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _align_updates(training: dict[str, Any]) -> Any:
    found = training.get("alignment")
    statistics = found.get("statistics") if isinstance(found, dict) else None
    return statistics.get("updates") if isinstance(statistics, dict) else None
