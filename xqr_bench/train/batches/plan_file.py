"""A plan as a table: in memory for looking at, in a Parquet file for keeping."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xqr_bench import strict_parquet
from xqr_bench.errors import DataError
from xqr_bench.files import atomic_path
from xqr_bench.train.types import BATCH_TYPES, BatchPlan, ParallelData

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "xqr-bench-batch-plan-1"
_TABLES = ("data_set", "question", "passage_question", "query_language", "passage_language")
_KEY = b"xqr-bench"


def to_frame(plan: BatchPlan, data: Sequence[ParallelData] | None = None) -> pd.DataFrame:
    """One line a row of a batch: step, type, row, data set, questions, languages.

    Args:
        plan: the plan.
        data: what it was made from: question ids stand in place of numbers.
    """
    import pandas as pd

    steps, size = plan.question.shape
    flat: dict[str, Any] = {name: getattr(plan, name).reshape(-1) for name in _TABLES}
    frame = pd.DataFrame(
        {
            "step": np.repeat(np.arange(steps), size),
            "type": np.repeat(np.array(BATCH_TYPES)[plan.types], size),
            "row": np.tile(np.arange(size), steps),
            "data_set": np.array(plan.data_names)[flat["data_set"]],
            "question": flat["question"],
            "passage_question": flat["passage_question"],
            "query_language": np.array(plan.languages)[flat["query_language"]],
            "passage_language": np.array(plan.languages)[flat["passage_language"]],
        }
    )
    if data is not None:
        for name in ("question", "passage_question"):
            frame[name] = [data[d].ids[q] for d, q in zip(flat["data_set"], flat[name], strict=True)]
    return frame


def save_plan(plan: BatchPlan, path: Path) -> Path:
    """Write a plan to a Parquet file: a line a row, everything else in the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    steps, size = plan.question.shape
    columns = {
        "step": pa.array(np.repeat(np.arange(steps, dtype=np.int32), size)),
        "type": pa.array(np.repeat(plan.types, size)),
        **{name: pa.array(getattr(plan, name).reshape(-1)) for name in _TABLES},
    }
    about = {
        "format": FORMAT,
        "strategy": plan.strategy,
        "seed": plan.seed,
        "arguments": dict(plan.arguments),
        "data_names": plan.data_names,
        "data_digests": plan.data_digests,
        "languages": plan.languages,
        "steps": steps,
        "batch_size": size,
        "digest": plan.digest(),
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(about).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return path


def load_plan(path: Path) -> BatchPlan:
    """Read a plan.

    Raises:
        DataError: no such file, no plan, or one whose rows do not have the digest it states.
    """
    remedy = "make the plan again with the arguments of the run"
    try:
        table = strict_parquet.read(path, _known_columns, key=_KEY)
        about = table.facts
        shape = (about["steps"], about["batch_size"])
        tables = {name: table.numbers(name, np.int32).reshape(shape) for name in _TABLES}
        types = table.numbers("type", np.int8).reshape(shape)[:, 0]
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not a batch plan", found=f"{type(error).__name__}: {error}", remedy=remedy
        ) from error
    plan = BatchPlan(
        strategy=about["strategy"],
        seed=about["seed"],
        arguments=about["arguments"],
        data_names=tuple(about["data_names"]),
        data_digests=tuple(about["data_digests"]),
        languages=tuple(about["languages"]),
        types=types,
        **tables,
    )
    if plan.digest() != about["digest"]:
        raise DataError(f"{path}: the rows of the plan are not those it was saved with", remedy=remedy)
    return plan


def _known_columns(about: dict[str, Any]) -> dict[str, strict_parquet.Kind]:
    """The columns of a plan, in order.

    Raises:
        ValueError: what the file says about itself is not what is written there.
    """
    lists = [about.get(name) for name in ("data_names", "data_digests", "languages")]
    texts = [about.get("strategy"), about.get("digest"), *(item for part in lists for item in part or ())]
    counts = [about.get(name) for name in ("steps", "batch_size", "seed")]
    if (
        about.get("format") != FORMAT
        or not all(isinstance(part, list) for part in lists)
        or not all(isinstance(text, str) for text in texts)
        or not all(type(count) is int and count >= 0 for count in counts)
        or not isinstance(about.get("arguments"), dict)
    ):
        raise ValueError(f"its facts are not those of the format {FORMAT!r}")
    return dict.fromkeys(["step", "type", *_TABLES], "integer")
