"""Embeddings -> ranks."""

from xqr_bench.search.exact import exact_ranks
from xqr_bench.search.product import DEFAULT_MEMORY, Product, unit_vectors

__all__ = ["DEFAULT_MEMORY", "Product", "exact_ranks", "unit_vectors"]
