"""Where the store is, and how large it may grow."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from xqr_bench.errors import UsageError

FOLDER_VARIABLE = "XQR_BENCH_CACHE"
LIMIT_VARIABLE = "XQR_BENCH_CACHE_LIMIT"
DEFAULT_LIMIT = 20 * 10**9

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE)


@dataclass(frozen=True)
class VectorStore:
    """A store of vectors.

    Attributes:
        folder: where it is; made when the first vectors are kept.
        limit: bytes it may hold; the encoders used longest ago make room.
        shard_texts, shard_tokens: texts, and tokens with padding (where they are known), after which a shard is closed.
            A run that is killed loses at most the shard it was at.
    """

    folder: Path
    limit: int = DEFAULT_LIMIT
    shard_texts: int = 512
    shard_tokens: int = 16_384

    @property
    def shelves(self) -> Path:
        """The folder with one folder per encoder and role."""
        return self.folder / "embeddings"


def vector_store(folder: str | Path | None = None, limit: str | None = None) -> VectorStore:
    """The user's store.

    Args:
        folder: default: XQR_BENCH_CACHE, else the user's cache folder.
        limit: a size such as "20GB"; default: XQR_BENCH_CACHE_LIMIT, else 20 GB.

    Raises:
        UsageError: the limit is no size.
    """
    place = folder or os.environ.get(FOLDER_VARIABLE)
    if not place:
        import platformdirs

        place = platformdirs.user_cache_path("xqr-bench")
    size = limit or os.environ.get(LIMIT_VARIABLE)
    return VectorStore(Path(place).expanduser().absolute(), DEFAULT_LIMIT if not size else parse_size(size))


def parse_size(text: str) -> int:
    """Bytes of a size such as "500MB", "20 GB", "1.5TiB" or "1000000".

    Raises:
        UsageError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no size", remedy="write it as 500MB, 20GB or 1.5TB")
    base = 1024 if match["binary"] else 1000
    return int(float(match["number"]) * base ** " kmgt".index(match["unit"].lower() or " "))
