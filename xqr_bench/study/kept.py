"""What the processes of a sweep share on disk: vocabularies, and the aligned weights of each seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

from xqr_bench.encode.store.locks import locked
from xqr_bench.files import atomic_path, write_text
from xqr_bench.train.cache import TrainCache

T = TypeVar("T")


class FolderCache(TrainCache):
    """A `TrainCache` whose vocabularies and aligned weights are kept in a folder too.

    A file is written whole or not at all, by one process while the others wait. What is read back is, bit for bit,
    what was made.

    Args:
        folder: where; made when needed.
        size: things kept of each kind in memory.
    """

    def __init__(self, folder: Path, size: int = 8) -> None:
        super().__init__(size)
        self._folder = folder

    def get(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, here or by another process, or what `make` makes now."""
        if kind not in ("vocabulary", "aligned"):
            return super().get(kind, key, make)
        return super().get(kind, key, lambda: self._on_disk(kind, key, make))

    def _on_disk(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        path = self._folder / f"{kind}-{name}"
        with locked(self._folder, path.name, wait=lambda: None):
            if not path.exists():
                made = make()
                (_save_vocabulary if kind == "vocabulary" else _save_aligned)(made, path)
                return made
        return cast(T, (_load_vocabulary if kind == "vocabulary" else _load_aligned)(path))


def _save_vocabulary(tokenizer: Any, path: Path) -> None:
    write_text(path, tokenizer.to_str())


def _load_vocabulary(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(path.read_text(encoding="utf-8"))


def _save_aligned(made: Any, path: Path) -> None:
    import torch

    state, outcome = made
    with atomic_path(path) as temporary:
        torch.save({"state": state, "outcome": json.dumps(asdict(outcome))}, temporary)


def _load_aligned(path: Path) -> Any:
    import torch

    from xqr_bench.train.stage import Outcome

    found = torch.load(path, weights_only=True)
    values = json.loads(found["outcome"])
    for name in ("loss", "validation"):
        values[name] = [tuple(pair) for pair in values[name]]
    return found["state"], Outcome(**values)
