"""FAISS indices: ranks through them, kept on disk, and searched by hand."""

from xqr_bench.search.index.build import refuse_too_few
from xqr_bench.search.index.lookup import Found, IndexSearcher
from xqr_bench.search.index.options import DEFAULT_DEPTH, INDEX_TYPES, IndexFacts, IndexOptions
from xqr_bench.search.index.ranks import Indexed, indexed_ranks
from xqr_bench.search.index.store import Manifest, check_place, read_manifest, save_index

__all__ = [
    "DEFAULT_DEPTH",
    "INDEX_TYPES",
    "Found",
    "IndexFacts",
    "IndexOptions",
    "IndexSearcher",
    "Indexed",
    "Manifest",
    "check_place",
    "indexed_ranks",
    "read_manifest",
    "refuse_too_few",
    "save_index",
]
