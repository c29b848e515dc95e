"""Checks between an encoder and the scores: a wrong vector is named, never scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.mapped import in_parts

Vectors = NDArray[np.float32]

RULE = "return one row of numbers per text, in order: an array of shape [texts, dimensions]"


def as_numpy(value: Any) -> Any:
    """A tensor as numpy; anything else unchanged. bfloat16 and less, which numpy lacks, becomes float32."""
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return value
    tensor = value.detach().cpu()
    if getattr(tensor, "is_sparse", False):
        tensor = tensor.to_dense()
    return (tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor).numpy()


UNPACK = "2.0 * numpy.unpackbits(packed, axis=1) - 1"
EVEN = 62.0
"""Standard deviation from which values spread evenly over 256 fit better than a bell: 256 / sqrt(2 pi e)."""


def _may_be_packed(numbers: NDArray[Any]) -> bool:
    """Whether whole numbers fill the range of a byte evenly, as packed bits do and quantised numbers do not.

    In vectors of MiniLM and e5-small packed bits have a standard deviation of 67 to 80, numbers scaled into that range
    one of 41 to 44; of 85 where eight texts alone set the scale, which makes other numbers of other batches.
    """
    if numbers.dtype.kind not in "iu" or numbers.shape[1] < 8 or not -128 <= numbers.min() <= numbers.max() <= 255:
        return False
    in_a_byte = numbers.min() >= 0 or numbers.max() <= 127
    return bool(in_a_byte and numbers.std() > EVEN and len(np.unique(numbers)) >= 64)


def _as_array(value: Any, who: str, rule: str) -> NDArray[Any]:
    """A numpy array, torch tensor or list of rows as an array of whatever shape and type.

    Raises:
        EncoderError: it is none.
    """
    kind = type(value).__name__
    try:
        if isinstance(value, Mapping):
            raise EncoderError(
                f"{who} returned no real numbers",
                found=f"a {kind} with the keys {', '.join(map(repr, list(value)[:8]))}",
                remedy=f"return what stands under one of its keys; {rule}",
            )
        whole = [as_numpy(row) for row in value] if isinstance(value, list | tuple) else as_numpy(value)
        array: NDArray[Any] = np.asarray(whole)
    except EncoderError:
        raise
    except Exception as error:  # of a device, of a type of number that numpy lacks, of the object itself
        ragged = "inhomogeneous" in str(error)
        problem = "rows of different lengths" if ragged else "what cannot be copied to numpy"
        raise EncoderError(
            f"{who} returned {problem}", found=f"{kind}: {type(error).__name__}: {error}", remedy=rule
        ) from error
    if isinstance(whole, np.ma.MaskedArray):
        raise EncoderError(f"{who} returned a masked array", found=f"shape {whole.shape}", remedy="fill what is masked")
    return array


SCORES = "return one row per query and one column per candidate, in order: numbers of shape [queries, candidates]"


def to_scores(value: Any, shape: tuple[int, int], who: str, remedy: str = SCORES) -> NDArray[Any]:
    """Scores that code or a file of others has, as an array of real numbers of at most 64 bits.

    Args:
        value: numpy array, torch tensor, list of rows, or a sparse matrix, in which what is not stored is 0.
        shape: queries and candidates that they are of.
        who: whose they are, for messages.
        remedy: what to do where they are none.

    Raises:
        EncoderError: it is no such array.
    """
    if hasattr(value, "toarray") and hasattr(value, "nnz"):  # of scipy
        value = value.toarray()
    array = _as_array(value, who, remedy)
    numbers = array.dtype.kind in "fiu" and array.dtype.itemsize <= 8
    if numbers and array.shape == shape:
        return array
    raise EncoderError(
        f"{who} has no score for each query and candidate" if numbers else f"{who} has scores that are no real numbers",
        found=f"dtype {array.dtype}, shape {array.shape} for {shape[0]:,} queries and {shape[1]:,} candidates",
        remedy=remedy,
    )


def to_matrix(value: Any, rows: int, who: str, warn: Callable[[str], None]) -> Vectors:
    """What an encoder returned, as float32 `[rows, d]`, C-contiguous.

    Args:
        value: numpy array, torch tensor, or a list of rows (lists, arrays or tensors).
        rows: number of texts that went in.
        who: the encoder's name, for messages.
        warn: hears of int8, which may be numbers or packed bits.

    Raises:
        EncoderError: no two-dimensional array of real numbers with `rows` rows and at least one column, or bytes that
            may be packed bits.
    """
    array = _as_array(value, f"the encoder {who}", RULE)
    kind = type(value).__name__
    shape, remedy = f"shape {array.shape}", RULE
    if array.dtype.kind not in "fiu":
        wrong, shape = "no real numbers", f"{kind} of dtype {array.dtype} and {shape}"
    elif array.dtype == np.uint8:
        wrong, shape = "bytes, which may be packed bits, or numbers moved by an unknown offset", f"dtype uint8, {shape}"
        remedy = f"return {UNPACK}, or the vectors before they were quantised"
    elif array.ndim != 2:
        wrong, shape = f"an array of {array.ndim} dimensions instead of 2", f"{shape} for {rows:,} texts"
    elif array.shape[0] != rows:
        wrong = f"{array.shape[0]:,} rows for {rows:,} texts"
    elif array.shape[1] == 0:
        wrong = "vectors without columns"
    elif rows and _may_be_packed(array):
        wrong = "whole numbers spread evenly over the range of a byte, as packed bits are"
        shape = f"dtype {array.dtype}, {shape}, standard deviation {array.std():.0f}"
        remedy = (
            "return the vectors before they were quantised, or of packed bits (sentence-transformers' binary + 128, as "
            f"uint8) {UNPACK}; numbers that are meant as they are: as float32"
        )
    else:
        if array.dtype == np.int8:
            warn("its vectors are int8 and scored as numbers: if each holds eight packed bits, unpack them first")
        with np.errstate(over="ignore"):  # too large for float32 becomes inf, which check_values names
            return np.ascontiguousarray(array, dtype=np.float32)
    raise EncoderError(f"the encoder {who} returned {wrong}", found=shape, remedy=remedy)


def _rows_that(vectors: Vectors, wrong: Callable[[Vectors], Any]) -> NDArray[np.int64]:
    found = [start + np.flatnonzero(wrong(part)) for start, part in in_parts(vectors)]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


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
    wrong = _rows_that(vectors, lambda part: ~np.isfinite(part).all(axis=1))
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
    wrong = _rows_that(vectors, lambda part: np.logical_not(part.any(axis=1)))
    if wrong.size:
        raise EncoderError(
            f"{who} has vectors of only zeros, which have no direction: {wrong.size:,} of {len(vectors):,} looked at",
            found=f"zeros for {describe(int(wrong[0]))}",
            remedy="make the encoder return something for every text, or score such texts 0 with --allow-zero-vectors",
        )
