"""The plugin contract: what an encoder must have, and what it may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

Similarity = Literal["cosine", "dot"]
Role = Literal["query", "candidate"]
EncodeCall = Callable[[list[str]], Any]

SIMILARITIES: tuple[Similarity, ...] = ("cosine", "dot")

# Role -> names of the method that may encode it, the first present is used.
METHODS: dict[Role, tuple[str, ...]] = {
    "query": ("encode_queries", "encode_query", "encode"),
    "candidate": ("encode_candidates", "encode_document", "encode"),
}


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors.

    Each method takes a list of texts and returns one row per text, in order: a numpy array, a torch tensor (any
    device, any float type) or a list of lists, of shape `[len(texts), dimensions]`. An object with only
    `encode(texts)` is accepted too, for queries and candidates alike; so is one with `encode_query` and
    `encode_document`.

    Optional attributes:
        name: str, the record's name (default: the name of the class).
        similarity: "cosine" (default) or "dot".
        revision: str, a version of the encoder, kept in the record.
        device: str, where it runs, for the printed summary.
        truncated(texts): one bool per text, True where the encoder cuts the text off.
        keep_vectors: False where encoding is as fast as reading: the embedding store then keeps no vectors.
        close(): called when the encoder is no longer needed.
    """

    def encode_queries(self, texts: list[str]) -> Any:
        """Return one row per query text, numbers of shape `[len(texts), dimensions]`."""
        ...

    def encode_candidates(self, texts: list[str]) -> Any:
        """Return one row per candidate text, numbers of shape `[len(texts), dimensions]`."""
        ...


class EncodeProgress(Protocol):
    """Told how far the encoding is; counts distinct texts."""

    def start(self, total: int) -> None:
        """`total` texts are going to be encoded."""
        ...

    def advance(self, n: int) -> None:
        """`n` more texts are done."""
        ...

    def finish(self) -> None:
        """The encoding has ended, well or not."""
        ...
