"""Embeddings -> ranks."""

from xqr_bench.search.device import PROCESSOR, counting_device, device_name
from xqr_bench.search.exact import exact_ranks
from xqr_bench.search.product import DEFAULT_MEMORY, Product, unit_vectors

__all__ = [
    "DEFAULT_MEMORY",
    "PROCESSOR",
    "Product",
    "counting_device",
    "device_name",
    "exact_ranks",
    "unit_vectors",
]
