"""FAISS indices: ranks through them, kept on disk, and searched by hand."""

from xqr_bench.search.index.options import DEFAULT_DEPTH, INDEX_TYPES, IndexFacts, IndexOptions
from xqr_bench.search.index.ranks import Indexed, indexed_ranks

__all__ = ["DEFAULT_DEPTH", "INDEX_TYPES", "IndexFacts", "IndexOptions", "Indexed", "indexed_ranks"]
