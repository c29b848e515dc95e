"""Encoders: anything that turns texts into vectors, and the vectors of whole tasks."""

from __future__ import annotations

from xqr_bench.encode.bound import BoundEncoder
from xqr_bench.encode.devices import devices_of
from xqr_bench.encode.embed import embed_tasks, embedder_of
from xqr_bench.encode.hardware import choose_device
from xqr_bench.encode.load import ENCODER_KINDS, load_encoder
from xqr_bench.encode.options import Encoder, EncoderOptions, ModelIdentity
from xqr_bench.encode.registry import ENCODERS
from xqr_bench.encode.store import VectorStore, vector_store
from xqr_bench.encode.texts import Embedder, Embeddings, in_context

__all__ = [
    "ENCODERS",
    "ENCODER_KINDS",
    "BoundEncoder",
    "Embedder",
    "Embeddings",
    "Encoder",
    "EncoderOptions",
    "ModelIdentity",
    "VectorStore",
    "choose_device",
    "devices_of",
    "embed_tasks",
    "embedder_of",
    "in_context",
    "load_encoder",
    "vector_store",
]
