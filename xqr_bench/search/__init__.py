"""Embeddings -> ranks."""

from xqr_bench.search.exact import exact_ranks, unit_vectors

__all__ = ["exact_ranks", "unit_vectors"]
