"""Rankings without vectors to compare encoders with; docs/interop.md tells how they are made."""

from xqr_bench.baseline.bm25 import Bm25, Bm25Options
from xqr_bench.baseline.evaluate import bm25
from xqr_bench.baseline.tokens import terms

__all__ = ["Bm25", "Bm25Options", "bm25", "terms"]
