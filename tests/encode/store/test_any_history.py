"""Whatever happened before: runs of other tasks, other batches, failures, damage."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encode.store.conftest import SHARD, bound, embed, equal_but_for_batches, same, shards, task_of
from xqr_bench.core.errors import EncoderError
from xqr_bench.encode import Embeddings, VectorStore
from xqr_bench.encode.shards import DamagedShardError, Plan, open_shard, shard_name, texts_of

STEPS = st.lists(
    st.tuples(
        st.integers(0, 50),  # first text
        st.integers(1, 50),  # texts
        st.sampled_from([3, 5]),  # batch size
        st.one_of(st.none(), st.integers(1, 12)),  # the batch that fails
        st.one_of(st.none(), st.integers(0, 9)),  # the shard that is damaged before
    ),
    min_size=1,
    max_size=5,
)


def run(store: VectorStore, first: int, number: int, batch: int, fails: int | None) -> Embeddings | None:
    encoder: Any = bound(batch=batch)
    real, calls = encoder.call, 0

    def call(role: Any, texts: list[str]) -> Any:
        nonlocal calls
        calls += 1
        if calls == fails:
            raise ValueError("lost the connection")
        return real(role, texts)

    encoder.call = call
    try:
        return embed(store, task_of(first, first + number), encoder, [])
    except EncoderError:
        return None


def check_invariants(store: VectorStore) -> None:
    """A text stands in one shard, on disk and in the plans together."""
    seen: dict[bytes, str] = {}
    for path in shards(store):
        for digest in open_shard(path, path.parents[1].name).digests:
            assert digest not in seen
            seen[digest] = path.name
    for path in store.shelves.glob("*/plans/*.json"):
        plan = Plan.load(path)
        for shard in plan.shards:
            for digest in texts_of(shard):
                assert seen.setdefault(digest, shard_name(shard)) == shard_name(shard)


@settings(deadline=None, max_examples=15)
@given(STEPS)
def test_vectors_are_right_and_no_text_is_kept_twice(steps: list[tuple[int, int, int, int | None, int | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder), shard_texts=SHARD)
        for first, number, batch, fails, damaged in steps:
            files = shards(store)
            if damaged is not None and damaged < len(files):
                files[damaged].write_bytes(files[damaged].read_bytes()[:-1])
            found = run(store, first, number, batch, fails)
            plain = embed(None, task_of(first, first + number))
            if found is not None:
                equal_but_for_batches(found.candidates, plain.candidates)
                assert found.truncated == plain.truncated
                again = run(store, first, number, batch, None)
                assert same(again, found)
                assert again.stored_texts == number
            for path in shards(store):
                try:
                    open_shard(path, path.parents[1].name).read()
                except DamagedShardError:  # one that no run needed
                    path.unlink()
            check_invariants(store)
