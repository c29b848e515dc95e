"""Ranks -> sums and counts by setting cell and article: all that means, folds and article bootstraps need."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from xqr_bench import strict_json
from xqr_bench.errors import RecordError
from xqr_bench.files import atomic_path
from xqr_bench.scores import all_per_query
from xqr_bench.types import MULTILINGUAL, SETTINGS, FloatArray, IntArray, Ranks

BIAS = ("rank_distance", "own_language_first")
"""Bias measures kept beside MAP, of the multilingual setting."""


@dataclass(frozen=True)
class Compact:
    """One view (raw or centred) of one checkpoint.

    Attributes:
        rows: `setting/metric/cell`, such as `cross-lingual/map/en>de`.
        sums: of the values of each row's queries in each article, float64 `[rows, articles]`.
        counts: how many values, int32 `[rows, articles]`; undefined ones are left out.
    """

    rows: tuple[str, ...]
    sums: FloatArray
    counts: NDArray[np.int32]


def compact(ranks: Ranks, articles: IntArray, n_articles: int, leave_out: Collection[str] = ()) -> Compact:
    """Sum the values of MAP in each cell, and of bias measures in the multilingual ones, by article.

    Args:
        ranks: what was counted.
        articles: article of each query, int64 `[queries]`.
        n_articles: of the whole task.
        leave_out: question ids whose values are not counted; their texts stay in the pool.
    """
    stays = np.array([question not in leave_out for question in ranks.question_ids], dtype=bool)
    rows: list[str] = []
    sums, counts = [], []
    for setting in SETTINGS:
        metrics = ("map", *BIAS) if setting == MULTILINGUAL else ("map",)
        for metric, found in all_per_query(ranks, metrics, (setting,)).get(setting, {}).items():
            usable = ~np.isnan(found.values) & stays[found.queries]
            place = (found.cell * n_articles + articles[found.queries])[usable]
            size = len(found.cells) * n_articles
            rows += [f"{setting}/{metric}/{cell.pair}" for cell in found.cells]
            sums.append(np.bincount(place, found.values[usable], size).reshape(-1, n_articles))
            counts.append(np.bincount(place, minlength=size).reshape(-1, n_articles).astype(np.int32))
    return Compact(tuple(rows), np.concatenate(sums), np.concatenate(counts))


def macro_scores(found: Compact) -> dict[str, float]:
    """`setting/metric` -> mean over its cells of their means; those with an undefined cell are left out."""
    means = found.sums.sum(axis=1) / np.maximum(found.counts.sum(axis=1), 1)
    defined = found.counts.sum(axis=1) > 0
    result = {}
    families = [row.rpartition("/")[0] for row in found.rows]
    for family in dict.fromkeys(families):
        own = np.array([name == family for name in families])
        if defined[own].all():
            result[family] = float(means[own].mean())
    return result


def save_compact(views: Mapping[str, Compact], about: Mapping[str, Any], path: Path) -> None:
    """Write the views of a checkpoint; the same content gives the same bytes."""
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about, sort_keys=True))}
    for name, found in views.items():
        arrays |= {
            f"{name}.rows": np.array(found.rows),
            f"{name}.sums": found.sums,
            f"{name}.counts": found.counts,
        }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_compact(path: Path) -> tuple[dict[str, Compact], dict[str, Any]]:
    """Read what `save_compact` wrote.

    Raises:
        RecordError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            about = strict_json.parse(str(found["about"]))
            names = [key.removesuffix(".rows") for key in found.files if key.endswith(".rows")]
            views = {
                name: Compact(
                    tuple(str(row) for row in found[f"{name}.rows"]), found[f"{name}.sums"], found[f"{name}.counts"]
                )
                for name in names
            }
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no results of a run"
        raise RecordError(f"{path} cannot be read: {why}", remedy="remove the run's folder and sweep again") from error
    return views, about
