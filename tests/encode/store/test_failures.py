"""Whatever fails around the store or in the encoder: what was computed stays, and the run goes on or says why not."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.store.conftest import bound, embed, equal_but_for_batches, same, shards, task_of
from xqr_bench.core.errors import EncoderError
from xqr_bench.encode import VectorStore, load_encoder
from xqr_bench.encode import store as shelf

WITHOUT = "the run goes on without the embedding store: "


def test_a_full_disk(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = embed(None, task_of(0, 60))
    opened = Path.open

    class Full:
        """A file on a disk that is full."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def write(self, part: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_full(self: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        file = opened(self, mode, *args, **more)
        return Full(file) if mode == "wb" and len(shards(store)) == 2 else file

    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        found = embed(store, task_of(0, 60), told=told)
    np.testing.assert_array_equal(found.candidates, plain.candidates)
    assert len(told) == 1
    assert told[0].startswith(WITHOUT + "cannot write ")
    assert told[0].endswith(": No space left on device")
    assert len(shards(store)) == 2
    assert not list(store.folder.rglob("*.tmp"))
    again = embed(store, task_of(0, 60))  # there is space again: the old plan is finished
    assert again.stored_texts == 24
    assert same(again, found)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    found = embed(VectorStore(tmp_path / "file" / "cache"), task_of(0, 20), told=told)
    assert found.stored_texts == 0
    assert len(told) == 1
    assert told[0].startswith(WITHOUT)


def test_a_folder_that_cannot_be_written(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed(store, task_of(0, 20))

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "utime", refuse)
    told: list[str] = []
    found = embed(store, task_of(0, 20), told=told)
    equal_but_for_batches(found.candidates, first.candidates)
    assert told[0].startswith(WITHOUT + "[Errno 30] Read-only file system")


def test_a_folder_that_vanishes(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = embed(None, task_of(0, 60))
    write = shelf.write_shard

    def write_and_lose(*args: Any) -> None:
        write(*args)
        if len(shards(store)) == 2:
            shutil.rmtree(store.folder)

    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(shelf, "write_shard", write_and_lose)
        found = embed(store, task_of(0, 60), told=told)
    np.testing.assert_array_equal(found.candidates, plain.candidates)
    assert len(told) == 1
    assert told[0].startswith(WITHOUT)
    assert told[0].endswith("has vanished")
    assert embed(store, task_of(0, 60)).stored_texts == 0  # made again by the next run


def failing(what: str, at: int) -> Callable[[Any, str, list[str]], Any]:
    calls = 0

    def call(real: Any, role: Any, texts: list[str]) -> Any:
        nonlocal calls
        calls += 1
        found = real(role, texts)
        if calls != at:
            return found
        if what == "raises":
            raise ValueError("lost the connection")
        return found[:-1]

    return call


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raises", "the encoder Sensitive failed on texts 225 to 228 of 300"),
        ("counts wrong", "the encoder Sensitive returned 3 rows for 4 texts"),
    ],
)
def test_an_encoder_that_fails_at_batch_57(store: VectorStore, what: str, message: str) -> None:
    plain = embed(None, task_of(0, 300))
    encoder = bound()
    real, fail = encoder.call, failing(what, 57)
    encoder.call = lambda role, texts: fail(real, role, texts)
    with pytest.raises(EncoderError) as caught:
        embed(store, task_of(0, 300), encoder)
    assert message in str(caught.value)
    assert "216 texts encoded before are kept: the same command goes on after them" in str(caught.value)
    again = embed(store, task_of(0, 300))
    assert again.stored_texts == 216
    np.testing.assert_array_equal(again.candidates, plain.candidates)


def test_a_witness_that_cannot_be_encoded_any_more_loses_nothing(store: VectorStore) -> None:
    first = embed(store, task_of(0, 20))
    encoder = bound()
    real, fail = encoder.call, failing("raises", 1)
    encoder.call = lambda role, texts: fail(real, role, texts)
    with pytest.raises(EncoderError, match="failed on texts 1 to 4 of 20"):
        embed(store, task_of(0, 20), encoder)
    assert same(first, embed(store, task_of(0, 20)))


def test_by_default_what_should_be_known_is_a_python_warning(tmp_path: Path) -> None:
    from xqr_bench.encode import embed_tasks

    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="goes on without the embedding store"):
        embed_tasks(bound(), [task_of(0, 3)], store=VectorStore(tmp_path / "file"))
    assert load_encoder("char-ngrams").warnings == []
