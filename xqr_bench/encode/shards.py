"""What the embedding store writes: keys of encoders and texts, plans of encodings, shards of vectors."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.files import atomic_path, write_text
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import Role

# What vectors are kept under: the encoder, as far as it decides them, and the text.

KEY_VERSION = 1
DIGEST = 16
"""Bytes of a text's digest."""

_LIBRARIES = ("sentence-transformers", "torch", "transformers")


def reason_not_kept(encoder: TextEncoder) -> str | None:
    """Why the vectors of an encoder are never kept; None: they may be.

    A record that says which code or weights made the vectors is the condition: without it a changed encoder would be
    given its old vectors.
    """
    identity = encoder.identity
    if not encoder.keep:
        return "it asks not to be: encoding is as fast as reading"
    if identity.revision is None and identity.digest is None:
        return "it has neither a revision nor a digest"
    if identity.kind != "sentence-transformers" and encoder.source is None:
        return "it was passed as an object, and its source does not tell its state"
    return None


def needs_witness(encoder: TextEncoder) -> bool:
    """Whether the identity may miss what decides the vectors, such as weights that Python code reads from a file."""
    return encoder.identity.kind != "sentence-transformers"


def encoder_key(encoder: TextEncoder, role: Role) -> dict[str, Any]:
    """What decides the vectors of a text in a role, ready for JSON.

    Not in it: what only names the encoder, how vectors are compared, and the candidate context, which is part of the
    text. The versions of the libraries and the kind of device are: they decide the last bits.
    """
    identity = encoder.identity
    weights_known = identity.kind == "sentence-transformers" and identity.digest is not None
    return {
        "version": KEY_VERSION,
        "kind": identity.kind,
        "name": None if weights_known else identity.name,
        "revision": identity.revision,
        "digest": identity.digest,
        "distribution": identity.distribution,
        "role": None if encoder.symmetric else role,
        "prompt": identity.query_prompt if role == "query" else identity.candidate_prompt,
        "max_length": identity.max_length,
        "dtype": identity.dtype,
        "truncate_dim": identity.truncate_dim,
        "model_kwargs": identity.model_kwargs,
        "remote_code": identity.remote_code,
        "device": None if encoder.device is None else encoder.device.partition(":")[0],
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def canonical(value: Any) -> str:
    """JSON with one spelling."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def key_digest(key: dict[str, Any]) -> str:
    """What the folder of a key is called, and what its shards name: 128 bits of SHA-256 over its canonical JSON."""
    return hashlib.sha256(canonical(key).encode()).hexdigest()[:32]


def text_digest(text: str) -> bytes:
    """128 bits of BLAKE2b over the text in UTF-8; a lone surrogate counts as it is written."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


# Plans of encodings: which texts are encoded together, written down before the first batch.
#
# The last bits of a vector depend on the texts of its batch. A run that goes on where another was killed therefore
# takes the other's plan, not one of its own. A text stands in at most one shard of all plans of a folder.

PlannedShard = tuple[tuple[bytes, ...], ...]
"""Batches of digests of texts."""


def shard_name(shard: PlannedShard) -> str:
    """The file of a shard is called by its texts and batches."""
    packed = "|".join(",".join(digest.hex() for digest in batch) for batch in shard)
    return hashlib.sha256(packed.encode()).hexdigest()[:32] + ".shard"


def texts_of(shard: PlannedShard) -> list[bytes]:
    """Digests of the texts of a shard, in order."""
    return [digest for batch in shard for digest in batch]


@dataclass(frozen=True)
class Plan:
    """What one run set out to encode.

    Attributes:
        limits: what bounded its batches; a run with others makes a plan of its own.
        shards: in the order of encoding.
    """

    limits: dict[str, Any]
    shards: tuple[PlannedShard, ...]


def save_plan(path: Path, plan: Plan) -> None:
    """Write a plan, whole or not at all.

    Raises:
        XqrBenchError: it cannot be written.
    """
    content = {
        "limits": plan.limits,
        "shards": [["".join(digest.hex() for digest in batch) for batch in shard] for shard in plan.shards],
    }
    checksum = hashlib.sha256(canonical(content).encode()).hexdigest()
    write_text(path, canonical({"sha256": checksum, "plan": content}))


MAX_PLAN = 2**32  # bytes; 64 of them a text


def load_plan(path: Path) -> Plan | None:
    """Read a plan; None when it is damaged."""
    try:
        found = strict_json.read(path, MAX_PLAN)
        content = found["plan"]
        if hashlib.sha256(canonical(content).encode()).hexdigest() != found["sha256"]:
            return None
        shards = tuple(tuple(_split(batch) for batch in shard) for shard in content["shards"])
        return Plan(content["limits"], shards)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _split(batch: str) -> tuple[bytes, ...]:
    packed = bytes.fromhex(batch)
    return tuple(packed[i : i + DIGEST] for i in range(0, len(packed), DIGEST))


class Plans:
    """The plans of a folder, oldest first.

    Args:
        folder: holds one file a plan.
        made: whether the file of a shard is there.
    """

    def __init__(self, folder: Path, made: Callable[[str], bool]) -> None:
        self._folder = folder
        self._made = made
        self._plans: dict[Path, Plan] = {}
        for path in sorted(folder.glob("[0-9]*.json")):
            plan = load_plan(path)
            if plan is None:
                path.unlink(missing_ok=True)  # its texts are planned anew
            else:
                self._plans[path] = plan

    def unfinished(self, missing: set[bytes], wanted: set[bytes], limits: dict[str, Any]) -> list[PlannedShard]:
        """Planned shards to finish first: not there yet, needed, and all of their texts are at hand.

        Args:
            missing: digests of the texts that have no vectors.
            wanted: digests of the texts at hand.
            limits: of this run.
        """
        result = []
        for plan in self._plans.values():
            if plan.limits != limits:
                continue
            for shard in plan.shards:
                texts = texts_of(shard)
                if wanted.issuperset(texts) and not missing.isdisjoint(texts) and not self._made(shard_name(shard)):
                    result.append(shard)
        return result

    def add(self, shards: Iterable[PlannedShard], limits: dict[str, Any]) -> None:
        """Write down a new plan; unfinished shards of older ones that hold its texts are given up.

        Raises:
            XqrBenchError: it cannot be written.
        """
        new = Plan(limits, tuple(shards))
        taken = {digest for shard in new.shards for digest in texts_of(shard)}
        for path, plan in list(self._plans.items()):
            left = tuple(
                shard for shard in plan.shards if taken.isdisjoint(texts_of(shard)) or self._made(shard_name(shard))
            )
            if left != plan.shards:
                self._plans[path] = Plan(plan.limits, left)
                save_plan(path, self._plans[path])
        number = max((int(path.stem) for path in self._plans), default=0) + 1
        path = self._folder / f"{number:06d}.json"
        save_plan(path, new)
        self._plans[path] = new


# One file of vectors: digests of texts, flags, vectors and a checksum; written whole, read by memory map.
#
# magic (8 bytes), length of the header (uint32), header (JSON), padding to 64 bytes,
# digests (16 bytes a row), flags (1 byte a row), padding to 64 bytes,
# vectors (float32, little-endian, row by row), SHA-256 of everything before (32 bytes)

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
