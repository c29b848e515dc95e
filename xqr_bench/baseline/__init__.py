"""Rankings without vectors to compare encoders with; docs/interop.md tells how they are made."""

from xqr_bench.baseline.again import again
from xqr_bench.baseline.bm25 import Bm25, Bm25Options
from xqr_bench.baseline.bounds import (
    oracle_identity,
    oracle_ranks,
    oracle_records,
    random_identity,
    random_ranks,
    random_records,
)
from xqr_bench.baseline.evaluate import bm25
from xqr_bench.baseline.tokens import terms

__all__ = [
    "Bm25",
    "Bm25Options",
    "again",
    "bm25",
    "oracle_identity",
    "oracle_ranks",
    "oracle_records",
    "random_identity",
    "random_ranks",
    "random_records",
    "terms",
]
