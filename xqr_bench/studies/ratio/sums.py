"""The sums behind a condition's tests as one file: what it takes to draw seeds and articles again without the runs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import atomic_path, read_arrays
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL
from xqr_bench.studies.ratio.results import LEVELS, Results
from xqr_bench.studies.ratio.statistics import OWN_LANGUAGE

_TEXTS = ("arms", "rows", "levels")


def save_sums(results: Results, path: Path, *, own_language: bool = False) -> Path:
    """Write MAP's sums and counts by arm, seed, language and article, of the settings that are tested.

    Arrays: `sums` float64 `[arms, seeds, rows, articles]`, `counts` int32 `[seeds, rows, articles]` (the same in all
    arms), `arms`, `rows`, `levels`, `seeds`. Languages left out of averages are left out. The same results give the
    same bytes. `own_language`: own language first too, where it is tested.
    """
    of_bias = results.family(*OWN_LANGUAGE) if own_language else []
    rows = sorted(results.family(MONOLINGUAL) + results.family(MULTILINGUAL) + of_bias)
    counts = results.counts[:, :, rows]
    if (counts != counts[:1]).any():
        raise RecordError("the arms were evaluated on different questions", remedy="remove the runs of other data")
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        sums=results.sums[:, :, rows],
        counts=counts[0].astype(np.int32),
        arms=np.array(results.arms),
        rows=np.array([results.rows[row] for row in rows]),
        levels=np.array([results.levels[row] for row in rows]),
        seeds=np.array(results.seeds, dtype=np.int64),
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path


def load_sums(path: Path) -> Results:
    """Read what `save_sums` wrote.

    Raises:
        RecordError: it cannot be read, or its arrays do not belong together.
    """
    remedy = "get the file again, or make it with xqr-bench report ratios"
    try:
        arrays = read_arrays(path)
        sums, counts, seeds = arrays["sums"], arrays["counts"], arrays["seeds"]
        arms, rows, levels = (tuple(arrays[name].tolist()) for name in _TEXTS)
    except (OSError, ValueError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} cannot be read: {why}", remedy=remedy) from error
    shape = (len(arms), len(seeds), len(rows))
    if (
        sums.dtype != np.float64
        or counts.dtype != np.int32
        or sums.shape[:-1] != shape
        or counts.shape != sums.shape[1:]
        or not np.isfinite(sums).all()
        or (counts < 0).any()
        or not set(levels) <= set(LEVELS)
        or len(levels) != len(rows)
        or not all(isinstance(row, str) and row.count("/") >= 2 for row in rows)
    ):
        raise RecordError(f"{path} cannot be used", found="its arrays do not belong together", remedy=remedy)
    spread = np.broadcast_to(counts.astype(np.float64), sums.shape)
    return Results(arms, tuple(seeds.tolist()), rows, levels, sums, spread, {}, {})
