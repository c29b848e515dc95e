"""Shared by all tests: where the real data is, and no network."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# no test touches the user's own vectors; the folder goes when the process ends
_CACHE = tempfile.TemporaryDirectory(prefix="xqr-bench-tests-", ignore_cleanup_errors=True)
os.environ["XQR_BENCH_CACHE"] = _CACHE.name
os.environ.pop("XQR_BENCH_CACHE_LIMIT", None)

DATA = os.environ.get("XQR_BENCH_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="needs the real data: set XQR_BENCH_DATA")
VECTORS = Path(DATA).parent / "embeddings" / "all-minilm-l6-v2" if DATA else Path("nowhere")
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="needs real vectors beside the real data: $XQR_BENCH_DATA/../embeddings"
)
