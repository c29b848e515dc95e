"""Which texts are encoded together: planned before the first batch, from the texts alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xqr_bench.types import IntArray

Shard = list[IntArray]
"""Batches of indices of texts, each int64 `[rows]`; a batch never crosses a shard."""


@dataclass(frozen=True)
class Limits:
    """What bounds a batch.

    Attributes:
        rows: texts.
        tokens: tokens with padding, which is texts times the longest of them; None: their number is unknown.
    """

    rows: int
    tokens: int | None = None


def plan_shards(texts: IntArray, lengths: IntArray, limits: Limits, shard_texts: int, shard_tokens: int) -> list[Shard]:
    """Cut texts, the longest first, into batches, and these into shards.

    Args:
        texts: indices of texts; equally long ones stay in this order, int64 `[n]`.
        lengths: of these texts, int64 `[n]`; all alike where they are unknown.
        limits: of a batch; a longer text is a batch of its own.
        shard_texts: a shard is closed when it holds as many texts,
        shard_tokens: or as many tokens with padding.
    """
    order = np.argsort(-lengths, kind="stable")
    texts, lengths = texts[order], lengths[order]
    shards: list[Shard] = []
    shard: Shard = []
    rows = cost = start = 0
    while start < len(texts):
        longest = max(int(lengths[start]), 1)
        fitting = limits.rows if limits.tokens is None else min(limits.rows, max(limits.tokens // longest, 1))
        batch = texts[start : start + fitting]
        shard.append(batch)
        start += len(batch)
        rows += len(batch)
        cost += len(batch) * longest
        if rows >= shard_texts or (limits.tokens is not None and cost >= shard_tokens):
            shards.append(shard)
            shard, rows, cost = [], 0, 0
    return [*shards, shard] if shard else shards
