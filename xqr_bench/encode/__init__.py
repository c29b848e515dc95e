"""Encoders: anything that turns texts into vectors, and the vectors of whole tasks."""

from __future__ import annotations

from xqr_bench.encode.bound import BoundEncoder
from xqr_bench.encode.embed import embed_tasks
from xqr_bench.encode.load import EncoderKind, encoder_kinds, load_encoder, registered_encoders
from xqr_bench.encode.options import Encoder, EncoderOptions, ModelIdentity, in_context
from xqr_bench.encode.store import VectorStore, vector_store
from xqr_bench.encode.texts import Embeddings

__all__ = [
    "BoundEncoder",
    "Embeddings",
    "Encoder",
    "EncoderKind",
    "EncoderOptions",
    "ModelIdentity",
    "VectorStore",
    "embed_tasks",
    "encoder_kinds",
    "in_context",
    "load_encoder",
    "registered_encoders",
    "vector_store",
]
