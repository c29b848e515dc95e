"""What vectors are kept under: the encoder, as far as it decides them, and the text."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from typing import Any

from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.protocol import Role

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
