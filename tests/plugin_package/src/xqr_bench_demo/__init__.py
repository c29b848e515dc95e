"""An encoder that counts letters, brought by a package of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class LetterCounts:
    """How often each of 64 character classes (code point modulo 64) occurs."""

    name = "demo-letters"
    similarity = "dot"
    revision = "2024-05"

    def encode_queries(self, texts: list[str]) -> NDArray[np.float32]:
        """Counts, divided by the length of the text; float32 `[texts, 64]`."""
        return np.array([[*self._counts(text)] for text in texts], dtype=np.float32)

    def encode_candidates(self, texts: list[str]) -> NDArray[np.float32]:
        """The same for candidates."""
        return self.encode_queries(texts)

    @staticmethod
    def _counts(text: str) -> NDArray[np.float32]:
        codes = np.array([ord(character) % 64 for character in text or " "])
        return np.bincount(codes, minlength=64).astype(np.float32) / len(codes)
