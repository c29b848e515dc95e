"""Batches hold texts of like length, keep to their limits, and never cross a shard."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xqr_bench.encode.batches import plan_shards
from xqr_bench.encode.bound import Limits


@given(
    st.lists(st.integers(0, 300), max_size=80),
    st.integers(1, 20),
    st.one_of(st.none(), st.integers(1, 600)),
    st.integers(1, 40),
    st.integers(1, 2000),
)
def test_every_text_is_in_one_batch_within_the_limits(
    lengths: list[int], rows: int, tokens: int | None, shard_texts: int, shard_tokens: int
) -> None:
    texts = np.arange(len(lengths)) + 1000
    found = plan_shards(texts, np.array(lengths, dtype=np.int64), Limits(rows, tokens), shard_texts, shard_tokens)
    batches = [batch for shard in found for batch in shard]
    order = [int(text) for batch in batches for text in batch]
    assert sorted(order) == texts.tolist()
    # the longest first, equally long ones in the order given
    assert order == sorted(order, key=lambda text: (-lengths[text - 1000], text))
    costs = [len(batch) * max(1, *(lengths[text - 1000] for text in batch)) for batch in batches]
    for batch, cost in zip(batches, costs, strict=True):
        assert 0 < len(batch) <= rows
        assert tokens is None or cost <= tokens or len(batch) == 1
    for shard in found:
        assert sum(map(len, shard[:-1])) < shard_texts  # closed as soon as it is full
