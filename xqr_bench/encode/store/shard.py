"""One file of vectors: digests of texts, flags, vectors and a checksum; written whole, read by memory map.

magic (8 bytes), length of the header (uint32), header (JSON), padding to 64 bytes,
digests (16 bytes a row), flags (1 byte a row), padding to 64 bytes,
vectors (float32, little-endian, row by row), SHA-256 of everything before (32 bytes)
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench import strict_json
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.store.keys import DIGEST, canonical
from xqr_bench.files import atomic_path

MAGIC = b"XQRVEC1\n"
SUM = 32
_LENGTH = struct.Struct("<I")
MAX_HEADER = 65_536

Flags = NDArray[np.uint8]
"""Whether each text was cut off: 0 no, 1 yes, 2 unknown; uint8 `[rows]`."""


class DamagedShardError(Exception):
    """A file that is not what was written."""


def _padding(size: int) -> bytes:
    return b"\0" * (-size % 64)


def write_shard(path: Path, key: str, digests: Sequence[bytes], vectors: Vectors, flags: Flags) -> None:
    """Write a shard, whole or not at all.

    Args:
        path: the file.
        key: digest of the encoder's key; a shard under another one is refused.
        digests: of the texts.
        vectors: float32 `[rows, d]`.
        flags: uint8 `[rows]`.

    Raises:
        XqrBenchError: it cannot be written.
    """
    rows, columns = vectors.shape
    header = canonical({"key": key, "rows": rows, "columns": columns}).encode()
    head = MAGIC + _LENGTH.pack(len(header)) + header
    body = b"".join(digests) + flags.astype(np.uint8).tobytes()
    checksum = hashlib.sha256()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        data = memoryview(np.ascontiguousarray(vectors, dtype="<f4").data).cast("B")
        for part in (head, _padding(len(head)), body, _padding(len(body)), data):
            checksum.update(part)
            file.write(part)
        file.write(checksum.digest())


@dataclass(frozen=True)
class Shard:
    """An open shard; nothing in it is to be believed before `verify`.

    Attributes:
        digests: of its texts, in the order of the rows.
        vectors: float32 `[rows, d]`, mapped, read-only.
        flags: uint8 `[rows]`, mapped, read-only.
    """

    digests: list[bytes]
    vectors: Vectors
    flags: Flags
    _map: mmap.mmap

    def verify(self) -> None:
        """Read all of it and compare with its checksum.

        Raises:
            DamagedShardError: they differ.
        """
        view = memoryview(self._map)
        if hashlib.sha256(view[:-SUM]).digest() != bytes(view[-SUM:]):
            raise DamagedShardError("the checksum differs")


def open_shard(path: Path, key: str) -> Shard:
    """Map a shard into memory, without reading its vectors.

    Raises:
        DamagedShardError: it cannot be one, was cut short, or belongs to another encoder.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise DamagedShardError(str(error)) from error
    start = len(MAGIC) + _LENGTH.size
    if len(mapped) < start + SUM or mapped[: len(MAGIC)] != MAGIC:
        raise DamagedShardError("it does not begin as a shard does")
    (length,) = _LENGTH.unpack(mapped[len(MAGIC) : start])
    header = _header(mapped[start : start + min(length, MAX_HEADER)])
    rows, columns = header["rows"], header["columns"]
    if header["key"] != key:
        raise DamagedShardError("it belongs to another encoder")
    digests_at = start + length + len(_padding(start + length))
    body = rows * (DIGEST + 1)
    vectors_at = digests_at + body + len(_padding(body))
    if len(mapped) != vectors_at + rows * columns * 4 + SUM:
        raise DamagedShardError(f"it is {len(mapped):,} bytes long")
    packed = mapped[digests_at : digests_at + rows * DIGEST]
    return Shard(
        [packed[i : i + DIGEST] for i in range(0, len(packed), DIGEST)],
        np.frombuffer(mapped, dtype="<f4", count=rows * columns, offset=vectors_at).reshape(rows, columns),
        np.frombuffer(mapped, dtype=np.uint8, count=rows, offset=digests_at + rows * DIGEST),
        mapped,
    )


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = strict_json.parse(text)
        valid = (
            isinstance(header["key"], str)
            and isinstance(header["rows"], int)
            and isinstance(header["columns"], int)
            and 0 < header["rows"] < 2**31
            and 0 < header["columns"] < 2**31
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedShardError("its header cannot be read") from error
    if not valid:
        raise DamagedShardError("its header makes no sense")
    return dict(header)
