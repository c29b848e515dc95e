"""A shard is read as it was written, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from xqr_bench.encode.shards import DamagedShardError, open_shard, text_digest, write_shard

ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
KEY = "0123456789abcdef"


def write(path: Path, rows: int, columns: int, seed: int = 0) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    digests = [text_digest(f"text {row}") for row in range(rows)]
    vectors = generator.standard_normal((rows, columns)).astype(np.float32)
    flags = generator.integers(0, 3, rows).astype(np.uint8)
    write_shard(path, KEY, digests, vectors, flags)
    return digests, vectors, flags


@ANY_FOLDER
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 9))
def test_what_is_written_is_read(tmp_path: Path, rows: int, columns: int, seed: int) -> None:
    path = tmp_path / "one.safetensors"
    digests, vectors, flags = write(path, rows, columns, seed)
    shard = open_shard(path, KEY)
    assert (shard.digests, shard.dimensions) == (digests, columns)
    read_vectors, read_flags = shard.read()
    np.testing.assert_array_equal(read_vectors, vectors)
    np.testing.assert_array_equal(read_flags, flags)
    assert list(load_file(path)) == ["vectors", "digests", "flags", "sha256"]  # any reader of safetensors can read it


@ANY_FOLDER
@given(st.data())
def test_any_changed_byte_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "one.safetensors"
    write(path, 3, 5)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(DamagedShardError):
        open_shard(path, KEY).read()


@ANY_FOLDER
@given(st.data())
def test_any_other_length_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "one.safetensors"
    write(path, 3, 5)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:cut] if data.draw(st.booleans()) else content + content[:cut] + b"x")
    with pytest.raises(DamagedShardError):
        open_shard(path, KEY).read()


def test_a_shard_of_another_encoder_and_a_missing_one(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", 2, 2)
    with pytest.raises(DamagedShardError, match="another encoder"):
        open_shard(tmp_path / "one.safetensors", "other")
    with pytest.raises(DamagedShardError):
        open_shard(tmp_path / "none.safetensors", KEY)
