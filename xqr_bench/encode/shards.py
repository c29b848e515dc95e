"""What the embedding store writes: keys of encoders and texts, plans of encodings, shards of vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core import strict_json
from xqr_bench.core.files import atomic_path, stored, write_text
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import Role
from xqr_bench.encode.texts import Flags

KEY_VERSION = 1
DIGEST = 16
"""Bytes of a text's digest."""
SUFFIX = ".safetensors"

_LIBRARIES = ("sentence-transformers", "torch", "transformers")


def reason_not_kept(encoder: TextEncoder) -> str | None:
    """Why the vectors of an encoder are never kept; None: they may be.

    A record that says which code or weights made the vectors is the condition: without it a changed encoder would be
    given its old vectors. An endpoint has neither, and its vectors may have a price: they are kept, and the texts that
    are encoded anew before kept vectors are used (`Stored.differs`) tell whether it serves the same model.
    """
    identity = encoder.identity
    if not encoder.keep:
        return "it asks not to be: encoding is as fast as reading"
    if identity.revision is None and identity.digest is None and identity.endpoint is None:
        return "it has neither a revision nor a digest"
    if identity.kind != "sentence-transformers" and encoder.source is None:
        return "it was passed as an object, and its source does not tell its state"
    return None


def encoder_key(encoder: TextEncoder, role: Role) -> dict[str, Any]:
    """What decides the vectors of a text in a role, ready for JSON.

    Not in it: what only names the encoder, how vectors are compared, how many columns are scored (all are kept), and
    the candidate context, which is part of the text. The versions of the libraries and the kind of device are: they
    decide the last bits.
    """
    identity = encoder.identity
    weights_known = identity.kind == "sentence-transformers" and identity.digest is not None
    key = {
        "version": KEY_VERSION,
        "kind": identity.kind,
        "name": None if weights_known else identity.name,
        "revision": identity.revision,
        "digest": identity.digest,
        "distribution": identity.distribution,
        "role": None if encoder.symmetric else role,
        "prompt": encoder.prompt(role) or None,
        "max_length": identity.max_length,
        "dtype": identity.dtype,
        "truncate_dim": None,  # of every key now; what older versions kept with all columns stays in use
        "model_kwargs": identity.model_kwargs,
        "remote_code": identity.remote_code,
        "device": None if encoder.device is None else kind_of_device(encoder.device),
        "libraries": library_versions(),
    }
    if identity.endpoint is not None:  # the libraries here do not compute its vectors
        key |= {"endpoint": identity.endpoint.model_dump(mode="json"), "libraries": {}}
    return key if identity.base is None else key | {"base": identity.base}


def kind_of_device(device: str) -> str:
    """cuda of "cuda:1", and of "cuda:0,cuda:1"."""
    return device.partition(",")[0].partition(":")[0]


def library_versions() -> dict[str, str | None]:
    """Versions of the libraries that decide the last bits."""
    return {name: _version(name) for name in _LIBRARIES}


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
    return hashlib.sha256(packed.encode()).hexdigest()[:32] + SUFFIX


def texts_of(shard: PlannedShard) -> list[bytes]:
    """Digests of the texts of a shard, in order."""
    return [digest for batch in shard for digest in batch]


MAX_PLAN = 2**32  # bytes; 64 of them a text


@dataclass(frozen=True)
class Plan:
    """What one run set out to encode.

    Attributes:
        limits: what bounded its batches; a run with others makes a plan of its own.
        shards: in the order of encoding.
    """

    limits: dict[str, Any]
    shards: tuple[PlannedShard, ...]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            XqrBenchError: it cannot be written.
        """
        shards = [["".join(digest.hex() for digest in batch) for batch in shard] for shard in self.shards]
        write_text(path, canonical({"limits": self.limits, "shards": shards}))

    @classmethod
    def load(cls, path: Path) -> Plan | None:
        """Read a plan; None when it is damaged (a changed digest does no harm: no text has it)."""
        try:
            content = strict_json.read(path, MAX_PLAN)
            shards = tuple(tuple(_split(batch) for batch in shard) for shard in content["shards"])
            return cls(dict(content["limits"]), shards)
        except (OSError, ValueError, TypeError, KeyError):
            return None


def _split(batch: str) -> tuple[bytes, ...]:
    packed = bytes.fromhex(batch)
    return tuple(packed[i : i + DIGEST] for i in range(0, len(packed), DIGEST))


# One file of vectors, in the safetensors format: written whole, and believed only when its checksum is right.
#
# metadata `key`; tensors `digests` (uint8, 16 bytes a row), `flags` (uint8 a row), `vectors` (float32, row by row), and
# as the last bytes of the file `sha256`: of everything before it.

SUM = 32


class DamagedShardError(Exception):
    """A file that is not what was written."""


def write_shard(path: Path, key: str, digests: Sequence[bytes], vectors: Vectors, flags: Flags) -> None:
    """Write a shard, whole or not at all: digests of texts, vectors, float32 `[rows, d]`, and flags, uint8 `[rows]`.

    `key` is the digest of the encoder's key; a shard under another one is refused when it is read.

    Raises:
        XqrBenchError: it cannot be written.
    """
    from safetensors.numpy import save

    tensors = {
        "digests": np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, DIGEST),
        "flags": flags,
        "sha256": np.zeros(SUM, dtype=np.uint8),  # the wider type goes first, then names in order: this is the last
        "vectors": np.ascontiguousarray(vectors, dtype="<f4"),
    }
    content = memoryview(save(tensors, metadata={"key": key}))[:-SUM]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.write(hashlib.sha256(content).digest())


@dataclass(frozen=True)
class Shard:
    """An open shard; what it says of itself is not to be believed before `read`.

    Attributes:
        path: the file.
        digests: of its texts, in the order of the rows.
        dimensions: columns of its vectors.
    """

    path: Path
    digests: list[bytes]
    dimensions: int

    def read(self) -> tuple[Vectors, Flags]:
        """Its vectors, float32 `[rows, d]`, and flags, uint8 `[rows]`.

        Raises:
            DamagedShardError: the file is not what was written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            content = stored(self.path).read_bytes()
            if hashlib.sha256(memoryview(content)[:-SUM]).digest() != content[-SUM:]:
                raise DamagedShardError("the checksum differs")
            tensors = load(content)
            return tensors["vectors"], tensors["flags"]
        except (OSError, KeyError, SafetensorError) as error:
            raise DamagedShardError(str(error)) from error


def open_shard(path: Path, key: str) -> Shard:
    """Look into a shard, without reading its vectors.

    Raises:
        DamagedShardError: it cannot be one, was cut short, or belongs to another encoder.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(stored(path), framework="numpy") as file:
            if (file.metadata() or {}).get("key") != key:
                raise DamagedShardError("it belongs to another encoder")
            packed = file.get_tensor("digests")
            rows, dimensions = file.get_slice("vectors").get_shape()
            flags, kind = file.get_slice("flags").get_shape(), file.get_slice("vectors").get_dtype()
    except (OSError, ValueError, SafetensorError) as error:
        raise DamagedShardError(f"it is no whole safetensors file ({error})") from error
    if packed.dtype != np.uint8 or packed.shape != (rows, DIGEST) or flags != [rows] or kind != "F32":
        raise DamagedShardError("its parts do not belong together")
    return Shard(path, [digest.tobytes() for digest in packed], dimensions)
