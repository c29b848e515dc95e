"""Plans of encodings: which texts are encoded together, written down before the first batch.

The last bits of a vector depend on the texts of its batch. A run that goes on where another was killed therefore
takes the other's plan, not one of its own. A text stands in at most one shard of all plans of a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xqr_bench import strict_json
from xqr_bench.encode.store.keys import DIGEST, canonical
from xqr_bench.files import write_text

PlannedShard = tuple[tuple[bytes, ...], ...]
"""Batches of digests of texts."""


def shard_name(shard: PlannedShard) -> str:
    """The file of a shard is called by its texts and batches."""
    packed = "|".join(",".join(digest.hex() for digest in batch) for batch in shard)
    return hashlib.sha256(packed.encode()).hexdigest()[:32] + ".shard"


def texts_of(shard: PlannedShard) -> list[bytes]:
    """Digests of the texts of a shard, in order."""
    return [digest for batch in shard for digest in batch]


@dataclass(frozen=True)
class Plan:
    """What one run set out to encode.

    Attributes:
        limits: what bounded its batches; a run with others makes a plan of its own.
        shards: in the order of encoding.
    """

    limits: dict[str, Any]
    shards: tuple[PlannedShard, ...]


def save_plan(path: Path, plan: Plan) -> None:
    """Write a plan, whole or not at all.

    Raises:
        XqrBenchError: it cannot be written.
    """
    content = {
        "limits": plan.limits,
        "shards": [["".join(digest.hex() for digest in batch) for batch in shard] for shard in plan.shards],
    }
    checksum = hashlib.sha256(canonical(content).encode()).hexdigest()
    write_text(path, canonical({"sha256": checksum, "plan": content}))


def load_plan(path: Path) -> Plan | None:
    """Read a plan; None when it is damaged."""
    try:
        found = strict_json.read(path)
        content = found["plan"]
        if hashlib.sha256(canonical(content).encode()).hexdigest() != found["sha256"]:
            return None
        shards = tuple(tuple(_split(batch) for batch in shard) for shard in content["shards"])
        return Plan(content["limits"], shards)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _split(batch: str) -> tuple[bytes, ...]:
    packed = bytes.fromhex(batch)
    return tuple(packed[i : i + DIGEST] for i in range(0, len(packed), DIGEST))


class Plans:
    """The plans of a folder, oldest first.

    Args:
        folder: holds one file a plan.
        made: whether the file of a shard is there.
    """

    def __init__(self, folder: Path, made: Callable[[str], bool]) -> None:
        self._folder = folder
        self._made = made
        self._plans: dict[Path, Plan] = {}
        for path in sorted(folder.glob("[0-9]*.json")):
            plan = load_plan(path)
            if plan is None:
                path.unlink(missing_ok=True)  # its texts are planned anew
            else:
                self._plans[path] = plan

    def unfinished(self, missing: set[bytes], wanted: set[bytes], limits: dict[str, Any]) -> list[PlannedShard]:
        """Planned shards to finish first: not there yet, needed, and all of their texts are at hand.

        Args:
            missing: digests of the texts that have no vectors.
            wanted: digests of the texts at hand.
            limits: of this run.
        """
        result = []
        for plan in self._plans.values():
            if plan.limits != limits:
                continue
            for shard in plan.shards:
                texts = texts_of(shard)
                if wanted.issuperset(texts) and not missing.isdisjoint(texts) and not self._made(shard_name(shard)):
                    result.append(shard)
        return result

    def add(self, shards: Iterable[PlannedShard], limits: dict[str, Any]) -> None:
        """Write down a new plan; unfinished shards of older ones that hold its texts are given up.

        Raises:
            XqrBenchError: it cannot be written.
        """
        new = Plan(limits, tuple(shards))
        taken = {digest for shard in new.shards for digest in texts_of(shard)}
        for path, plan in list(self._plans.items()):
            left = tuple(
                shard for shard in plan.shards if taken.isdisjoint(texts_of(shard)) or self._made(shard_name(shard))
            )
            if left != plan.shards:
                self._plans[path] = Plan(plan.limits, left)
                save_plan(path, self._plans[path])
        number = max((int(path.stem) for path in self._plans), default=0) + 1
        path = self._folder / f"{number:06d}.json"
        save_plan(path, new)
        self._plans[path] = new
