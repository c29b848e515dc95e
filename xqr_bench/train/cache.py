"""What several runs of one process can share: read data, vocabularies, tokens, aligned weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class TrainCache:
    """Keeps the last few things made of each kind; pass one to several calls of `train`.

    What it gives back is shared: a run must not change it.

    Args:
        size: things kept of each kind.
    """

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._kept: dict[str, OrderedDict[Hashable, Any]] = {}

    def get(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, or what `make` makes now."""
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            kept[key] = make()
            while len(kept) > self._size:
                kept.popitem(last=False)
        kept.move_to_end(key)
        found: T = kept[key]
        return found
