"""The embedding store: vectors of texts on disk, by encoder and text, shared by tasks and runs."""

from __future__ import annotations

from xqr_bench.encode.store.manage import Damage, Shelved, clear, contents, trim, verify
from xqr_bench.encode.store.settings import VectorStore, parse_size, vector_store
from xqr_bench.encode.store.shelf import Shelf, open_shelf

__all__ = [
    "Damage",
    "Shelf",
    "Shelved",
    "VectorStore",
    "clear",
    "contents",
    "open_shelf",
    "parse_size",
    "trim",
    "vector_store",
    "verify",
]
