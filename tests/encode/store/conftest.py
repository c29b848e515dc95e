"""A store of small shards, an encoder whose batches are visible, and what it was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kit import Seen, make_task
from xqr_bench.core.types import TaskData
from xqr_bench.encode import BoundEncoder, Embeddings, EncoderOptions, VectorStore, embed_tasks, load_encoder

SENSITIVE = Path(__file__).with_name("sensitive.py")
SHARD = 12


def texts(start: int, stop: int) -> list[str]:
    """Distinct texts of many lengths."""
    return [f"{i} " + "x" * (i * 7 % 19) for i in range(start, stop)]


def task_of(start: int, stop: int, name: str = "toy") -> TaskData:
    """A task whose candidates are these texts, and whose one query is the first of them."""
    return make_task({"en": texts(start, start + 1)}, {"en": texts(start, stop)}, name)


def bound(name: str = "Sensitive", batch: int = 4) -> BoundEncoder:
    return load_encoder(f"{SENSITIVE}:{name}", EncoderOptions(batch_size=batch))


def same(one: Embeddings, other: Embeddings) -> bool:
    """Whether two embeddings are the same bytes, counts of truncated texts included."""
    return (
        one.queries.tobytes() == other.queries.tobytes()
        and one.candidates.tobytes() == other.candidates.tobytes()
        and one.truncated == other.truncated
    )


def shards(store: VectorStore) -> list[Path]:
    return sorted(store.shelves.glob("*/shards/*.safetensors"))


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    return VectorStore(tmp_path / "cache", shard_texts=SHARD)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """Batches that the encoder was given since the last call; the witness, the only batch given twice, left out."""
    path = tmp_path / "batches.jsonl"
    monkeypatch.setenv("XQR_TOY_LOG", str(path))

    def read() -> list[list[str]]:
        batches = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return batches

    return read


def embed(
    store: VectorStore | None,
    task: TaskData,
    encoder: BoundEncoder | None = None,
    told: list[str] | None = None,
) -> Embeddings:
    """Embed one task; what is told goes into `told`, and is an error without it."""

    seen = Seen()
    made = embed_tasks(encoder or bound(), [task], store=store, observe=seen)[task.name]
    assert told is not None or not seen.notes, seen.notes
    if told is not None:
        told += seen.notes
    return made


def equal_but_for_batches(found: np.ndarray, expected: np.ndarray) -> None:
    """Vectors of `sensitive` without the column that tells the batch."""
    np.testing.assert_array_equal(found[:, :2], expected[:, :2])
