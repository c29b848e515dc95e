"""What an encoder may return, and what is refused with the text named."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from tests.encode.toys import TOY, Returning
from xqr_bench import evaluate
from xqr_bench.core.errors import EncoderError
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.encode.checks import to_matrix

ROWS = [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        tuple(map(tuple, ROWS)),
        np.array(ROWS, np.float64),
        np.array(ROWS, np.float16),
        np.array(ROWS, np.int64),
        np.asfortranarray(ROWS),
        [np.array(row) for row in ROWS],
        torch.tensor(ROWS, dtype=torch.bfloat16, requires_grad=True),  # two steps away from numpy()
        torch.tensor(ROWS, dtype=torch.int64),
        [torch.tensor(row, dtype=torch.bfloat16) for row in ROWS],
    ],
)
def test_arrays_tensors_and_lists_become_float32_rows(value: Any) -> None:
    found = to_matrix(value, 2, "x", pytest.fail)
    np.testing.assert_array_equal(found, ROWS)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous


def with_row(row: int, value: float) -> Callable[[list[str]], Any]:
    def encode(texts: list[str]) -> Any:
        vectors = np.ones((len(texts), 3))
        vectors[row] = value
        return vectors

    return encode


async def asynchronous(texts: list[str]) -> Any:
    return np.ones((2, 2))


def cancelled(texts: list[str]) -> Any:
    raise asyncio.CancelledError


class Lazy:
    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        raise RuntimeError("not here")


FIRST = r"the first of these 7 texts is the candidate en:0:0:1 of toy \('The town is near the sea.'\)"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda texts: np.ones(len(texts)),
            r"array of 1 dimensions instead of 2\n  found: shape \(7,\) for 7 texts; " + FIRST,
        ),
        (lambda texts: np.ones((3, 2)), r"returned 3 rows for 7 texts\n  found: shape \(3, 2\); " + FIRST),
        (lambda texts: np.ones((len(texts), 0)), "vectors without columns"),
        (lambda texts: [[1.0]] * 6 + [[1.0, 2.0]], "rows of different lengths"),
        (lambda texts: Lazy(), "returned what cannot be copied to numpy\n  found: Lazy: RuntimeError: not here"),
        (lambda texts: None, "no real numbers\n  found: NoneType of dtype object"),
        (lambda texts: {"vectors": np.ones((7, 2))}, "a dict with the keys 'vectors'.*\n.*under one of its keys"),
        (lambda texts: {"dense_vecs": None, "colbert_vecs": []}, "a dict with the keys 'dense_vecs', 'colbert_vecs'"),
        (lambda texts: (np.ones(2) for _ in texts[1:]), "returned 6 rows for 7 texts"),
        (lambda texts: (np.ones((len(texts), 2)) for _ in [1]), "array of 3 dimensions"),
        (lambda texts: csr_matrix(np.ones((3, 2))), "returned 3 rows for 7 texts"),
        (lambda texts: csr_matrix(np.full((7, 2), np.nan)), "not finite in float32: 7 of 7"),
        (asynchronous, "returned 2 rows for 7 texts"),
        (
            lambda texts: torch.ones((7, 2), device="meta"),
            "be copied to numpy\n  found: Tensor: NotImpl",
        ),
        (lambda texts: np.packbits(np.ones((7, 8), np.uint8), axis=1), "packed bits.*\n.*uint8.*\n.*unpackbits"),
        (lambda texts: np.ma.masked_array(np.ones((7, 2)), mask=True), "returned a masked array"),
        (lambda texts: sys.exit(0), r"failed on texts 1 to 7(.|\n)*SystemExit: 0"),
        (cancelled, r"failed on texts 1 to 7(.|\n)*CancelledError"),
        (lambda texts: [["a"]] * 7, "no real numbers\n  found: list of dtype <U1"),
        (lambda texts: np.ones((7, 2), complex), "no real numbers\n  found: ndarray of dtype complex128"),
        (with_row(2, np.nan), r"not finite in float32: 1 of 7 looked at\n  found: nan for the query de:q1 of toy"),
        (with_row(0, np.inf), r"found: inf for the candidate en:0:0:1 of toy \('The town"),
        (with_row(0, 1e39), "found: inf for the candidate en:0:0:1"),
        (
            with_row(6, 0.0),
            r"only zeros.*: 1 of 7 looked at\n  found: zeros for the (query|candidate) .*\n.*--allow-zero-vectors",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(function: Callable[[list[str]], Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        embed_tasks(load_encoder(Returning(function)), [TOY])


@pytest.mark.parametrize("offset", [0.0, 2.0])  # of each column, as real vectors have
@pytest.mark.parametrize("columns", [64, 384])
def test_packed_bits_are_refused_and_quantised_numbers_scored_with_a_warning(columns: int, offset: float) -> None:
    from sentence_transformers.util import quantize_embeddings

    generator = np.random.default_rng(columns)
    vectors = generator.normal(offset * generator.normal(size=columns), size=(200, columns)).astype(np.float32)
    packed = quantize_embeddings(vectors, "binary")
    for bits in (packed, packed.tolist(), torch.tensor(packed).to(torch.int16) + 128):
        with pytest.raises(EncoderError, match=r"spread evenly over the range of a byte(.|\n)*unpackbits"):
            to_matrix(bits, 200, "x", pytest.fail)
    numbers, told = quantize_embeddings(vectors, "int8"), list[str]()
    np.testing.assert_array_equal(to_matrix(numbers, 200, "x", told.append), numbers)
    assert told == ["its vectors are int8 and scored as numbers: if each holds eight packed bits, unpack them first"]
    np.testing.assert_array_equal(to_matrix(packed.astype(np.float32), 200, "x", pytest.fail), packed)


def test_the_record_of_int8_vectors_says_so() -> None:
    record = evaluate(Returning(lambda texts: np.array([[len(text) % 99, 7] for text in texts], np.int8)), "mini")
    assert "its vectors are int8 and scored as numbers" in " ".join(record.warnings)


def test_queries_and_candidates_must_have_the_same_columns() -> None:
    class Uneven:
        def encode_queries(self, texts: list[str]) -> Any:
            return np.ones((len(texts), 2))

        def encode_candidates(self, texts: list[str]) -> Any:
            return np.ones((len(texts), 3))

    with pytest.raises(EncoderError, match="2 columns before, 3 for the candidate en:0:0:1 of toy"):
        embed_tasks(load_encoder(Uneven()), [TOY])


def test_zero_vectors_can_be_kept_and_are_counted() -> None:
    def encode(texts: list[str]) -> Any:
        return np.array([[0.0, 0.0] if text.startswith("W") else [1.0, 0.0] for text in texts])

    found = embed_tasks(load_encoder(Returning(encode)), [TOY], allow_zero_vectors=True)["toy"]
    assert found.zero_queries == {"en": 2, "de": 2}
    assert found.zero_candidates == {"de": 1}
    assert not found.queries.any()


def test_a_long_text_is_shortened_in_a_message() -> None:
    from tests.kit import make_task
    from xqr_bench.encode.texts import name_item

    task = make_task({"en": ["y" * 70]}, {"en": ["z"]})
    assert name_item(task, "query", 0) == f"the query en:q0 of toy ({'y' * 59 + '…'!r})"
