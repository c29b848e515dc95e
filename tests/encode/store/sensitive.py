"""An encoder whose vectors tell which texts were encoded together; it notes every batch it is given.

XQR_TOY_LOG names a file that gets a line per batch; XQR_TOY_SECONDS is spent on each text.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path

import numpy as np


def vector_of(text: str, together: list[str]) -> list[float]:
    """The last column depends on the batch and its order, as last bits do: by less than what a witness allows."""
    batch = zlib.crc32("\0".join(together).encode()) % 1000
    return [len(text) + 1.0, zlib.crc32(text.encode()) % 997 + 0.5, batch / 1e7]


class Sensitive:
    """Queries and candidates alike."""

    def encode(self, texts: list[str]) -> np.ndarray:
        if log := os.environ.get("XQR_TOY_LOG"):
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(json.dumps(texts) + "\n")
        time.sleep(float(os.environ.get("XQR_TOY_SECONDS", 0)) * len(texts))
        return np.array([vector_of(text, texts) for text in texts])

    def truncated(self, texts: list[str]) -> list[bool]:
        return [len(text) > 12 for text in texts]


class TwoWays(Sensitive):
    """Queries otherwise than candidates."""

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return -self.encode(texts)

    def encode_candidates(self, texts: list[str]) -> np.ndarray:
        return self.encode(texts)


class KeptNowhere(Sensitive):
    """Says so."""

    keep_vectors = False
