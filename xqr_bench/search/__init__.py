"""Embeddings -> ranks."""

from xqr_bench.search.exact import DEFAULT_MEMORY, exact_ranks, unit_vectors

__all__ = ["DEFAULT_MEMORY", "exact_ranks", "unit_vectors"]
