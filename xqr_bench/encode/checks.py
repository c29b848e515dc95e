"""Checks between an encoder and the scores: a wrong vector is named, never scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError

Vectors = NDArray[np.float32]

RULE = "return one row of numbers per text, in order: an array of shape [texts, dimensions]"


def _from_torch(value: Any) -> Any:
    """A tensor as numpy; anything else unchanged. bfloat16, which numpy lacks, becomes float32."""
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return value
    tensor = value.detach().cpu()
    if getattr(tensor, "is_sparse", False):
        tensor = tensor.to_dense()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def to_matrix(value: Any, rows: int, who: str) -> Vectors:
    """What an encoder returned, as float32 `[rows, d]`, C-contiguous.

    Args:
        value: numpy array, torch tensor, or a list of rows (lists, arrays or tensors).
        rows: number of texts that went in.
        who: the encoder's name, for messages.

    Raises:
        EncoderError: no two-dimensional array of real numbers with `rows` rows and at least one column.
    """
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        value = [_from_torch(row) for row in value]
    try:
        array = np.asarray(_from_torch(value))
    except (ValueError, TypeError) as error:  # ragged rows
        raise EncoderError(
            f"the encoder {who} returned rows of different lengths", found=f"{kind}: {error}", remedy=RULE
        ) from error
    shape = f"shape {array.shape}"
    if array.dtype.kind not in "fiu":
        raise EncoderError(
            f"the encoder {who} returned no real numbers",
            found=f"{kind} of dtype {array.dtype} and {shape}",
            remedy=RULE + " (a sparse matrix: call .toarray() first)" if array.ndim == 0 else RULE,
        )
    wrong = ""
    if array.ndim != 2:
        wrong, shape = f"an array of {array.ndim} dimensions instead of 2", f"{shape} for {rows:,} texts"
    elif array.shape[0] != rows:
        wrong = f"{array.shape[0]:,} rows for {rows:,} texts"
    elif array.shape[1] == 0:
        wrong = "vectors without columns"
    if wrong:
        raise EncoderError(f"the encoder {who} returned {wrong}", found=shape, remedy=RULE)
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which check_values names
        return np.ascontiguousarray(array, dtype=np.float32)


def check_values(vectors: Vectors, who: str, describe: Callable[[int], str], *, allow_zero: bool) -> None:
    """Refuse NaN, infinities and (unless allowed) rows of zeros.

    Args:
        vectors: float32 `[n, d]`.
        who: the encoder's name, for messages.
        describe: row -> the text it stands for.
        allow_zero: keep rows of zeros; they are counted and score 0.

    Raises:
        EncoderError: naming the first offending text.
    """
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if wrong.size:
        values = vectors[wrong[0]]
        value = values[~np.isfinite(values)][0]
        raise EncoderError(
            f"{who} has vectors that are not finite in float32: {wrong.size:,} of {len(vectors):,} looked at",
            found=f"{value} for {describe(int(wrong[0]))}",
            remedy="encode this text alone to see why; with float16 or bfloat16 weights try --dtype float32",
        )
    if allow_zero:
        return
    wrong = np.flatnonzero(~vectors.any(axis=1))
    if wrong.size:
        raise EncoderError(
            f"{who} has vectors of only zeros, which have no direction: {wrong.size:,} of {len(vectors):,} looked at",
            found=f"zeros for {describe(int(wrong[0]))}",
            remedy="make the encoder return something for every text, or score such texts 0 with --allow-zero-vectors",
        )
