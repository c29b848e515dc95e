"""A baseline by its identity: what a record says, run once more."""

from __future__ import annotations

from typing import Any

from xqr_bench.baseline.bm25 import NAME, Bm25Options
from xqr_bench.baseline.bounds import oracle_records, random_records
from xqr_bench.baseline.evaluate import bm25
from xqr_bench.data import TaskSpec
from xqr_bench.encode import ModelIdentity
from xqr_bench.errors import RecordError, UnknownNameError
from xqr_bench.record import Record


def again(identity: ModelIdentity, task: TaskSpec, **arguments: Any) -> Record:
    """Run the baseline of a record on a task; arguments as for `bm25`.

    Raises:
        UnknownNameError: there is no such baseline.
        RecordError: its parameters are not numbers.
    """
    given = identity.model_kwargs
    if not all(type(value) in (int, float) for value in given.values()):
        raise RecordError("the parameters of the record's baseline are not numbers", found=str(given)[:80])
    if identity.name == NAME:
        options = Bm25Options(**{name: float(given[name]) for name in ("k1", "b") if name in given})
        return bm25([task], options=options, **arguments)[0]
    if identity.name == "random":
        return random_records([task], seed=int(given.get("seed", 0)), **arguments)[0]
    if identity.name == "oracle":
        return oracle_records([task], **arguments)[0]
    raise UnknownNameError("baseline", identity.name, [NAME, "random", "oracle"])
