"""Texts of tasks -> embeddings: each distinct text is encoded once, checked, and put wherever it stands."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from xqr_bench.encode.bound import BoundEncoder, TextEncoder, VectorLookup
from xqr_bench.encode.checks import Vectors, check_dimensions, check_values
from xqr_bench.encode.context import in_context
from xqr_bench.encode.embeddings import ROLES, Counts, Embeddings, assemble
from xqr_bench.encode.group import UNKNOWN, GroupRun
from xqr_bench.encode.plan import items_of, name_text, plan_groups
from xqr_bench.encode.protocol import EncodeProgress, Role
from xqr_bench.encode.store import VectorStore, open_shelf, trim
from xqr_bench.encode.store.keys import encoder_key, key_digest, reason_not_kept
from xqr_bench.errors import EncoderError, UsageError
from xqr_bench.types import TaskData


class _Silent:
    def start(self, total: int) -> None: ...

    def advance(self, n: int) -> None: ...

    def finish(self) -> None: ...


Notify = Callable[[str], None]


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)


def embed_tasks(
    encoder: BoundEncoder,
    tasks: Sequence[TaskData],
    *,
    progress: EncodeProgress | None = None,
    allow_zero_vectors: bool = False,
    store: VectorStore | None = None,
    notify: Notify | None = None,
) -> dict[str, Embeddings]:
    """Return the vectors of each task, by task name.

    All distinct texts of all tasks are encoded once, the longest first (memory runs out at the start if it does,
    and the time left is not underestimated), and checked batch by batch. Equal texts have identical vectors.
    The last bits of a vector can depend on the texts encoded with it, hence on which tasks are embedded together.
    With a store, texts whose vectors are there are not encoded, and the others are kept while the work goes on: a run
    that is killed is finished by the next one, with the vectors it would have had.

    Args:
        encoder: from `load_encoder`; its identity then knows the dimensions, and its warnings may have grown.
        tasks: with different names.
        progress: told how many texts are done.
        allow_zero_vectors: keep vectors of only zeros, counted, instead of refusing them.
        store: where vectors are kept (see `reason_not_kept` for encoders whose vectors never are).
        notify: told what a user should know of the store and of memory; default: a Python warning.

    Raises:
        EncoderError: the encoder failed, or returned what cannot be scored; the first offending text is named.
        UsageError: two tasks have one name.
    """
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise UsageError("two tasks have the same name", found=", ".join(names), remedy="give each once")
    if not tasks:
        return {}
    tasks = [in_context(task, encoder.identity.candidate_context) for task in tasks]
    if isinstance(encoder, VectorLookup):
        return _look_up(encoder, tasks, progress or _Silent(), allow_zero_vectors)
    if isinstance(encoder, TextEncoder):
        return _encode(encoder, tasks, progress or _Silent(), allow_zero_vectors, store, notify or _warn)
    raise EncoderError(
        f"a {type(encoder).__name__} is not bound", remedy="pass it to xqr_bench.encode.load_encoder first"
    )


def _encode(
    encoder: TextEncoder,
    tasks: Sequence[TaskData],
    progress: EncodeProgress,
    allow_zero: bool,
    store: VectorStore | None,
    notify: Notify,
) -> dict[str, Embeddings]:
    started = time.perf_counter()
    groups = plan_groups(tasks, symmetric=encoder.symmetric)
    vectors: dict[tuple[str, Role], Vectors] = {}
    flags: dict[tuple[str, Role], NDArray[np.bool_] | None] = {}
    counts = {task.name: Counts() for task in tasks}
    used: list[str] = []
    progress.start(sum(len(group.texts) for group in groups))
    try:
        for group in groups:
            run = GroupRun(encoder, group, tasks, vectors, progress, allow_zero=allow_zero, notify=notify)
            if store is None or not group.texts or reason_not_kept(encoder) is not None:
                run.run(None)
            else:
                key = encoder_key(encoder, group.role)
                with open_shelf(store, key, encoder.identity.name, notify) as shelf:
                    run.run(shelf, (store.shard_texts, store.shard_tokens))
                used.append(key_digest(key))
            known = not (run.flags == UNKNOWN).any()
            for place in group.destinations:
                flags[place.key] = run.flags[place.text_of_row].astype(np.bool_) if known else None
            for task in tasks:
                rows = [place.text_of_row for place in group.destinations if place.task is task]
                texts = np.unique(np.concatenate(rows))
                counts[task.name].distinct += len(texts)
                counts[task.name].from_store += int(run.stored[texts].sum())
    finally:
        progress.finish()
    if store is not None and used:
        _make_room(store, used, notify)
    seconds = time.perf_counter() - started
    for task in tasks:
        for role in ROLES:  # a role without texts
            vectors.setdefault((task.name, role), np.empty((0, encoder.identity.dimensions or 0), dtype=np.float32))
    return {task.name: assemble(task, vectors, flags, counts[task.name], seconds) for task in tasks}


def _make_room(store: VectorStore, used: Sequence[str], notify: Notify) -> None:
    try:
        gone = trim(store, used)
    except OSError as error:
        notify(f"the embedding store could not be kept to its limit: {error}")
        return
    if gone:
        notify(f"the embedding store was above its limit: the vectors of {len(gone)} encoders, used longest ago, went")


def _look_up(
    encoder: VectorLookup, tasks: Sequence[TaskData], progress: EncodeProgress, allow_zero: bool
) -> dict[str, Embeddings]:
    result: dict[str, Embeddings] = {}
    progress.start(sum(len(items_of(task, role)) for task in tasks for role in ROLES))
    try:
        for task in tasks:
            started = time.perf_counter()
            vectors: dict[tuple[str, Role], Vectors] = {}
            distinct = 0
            for role in ROLES:
                items = items_of(task, role)
                found = encoder.lookup(task, role)
                check_dimensions(
                    found.shape[1], encoder.identity.dimensions, encoder.name, f"the {role} vectors of {task.name}"
                )
                encoder.settle_dimensions(found.shape[1])
                check_values(
                    found,
                    encoder.name,
                    lambda row, task=task, role=role: name_text([task], (role,), row),  # type: ignore[misc]
                    allow_zero=allow_zero,
                )
                vectors[task.name, role] = found
                distinct += _warn_of_unequal(encoder, task, role, found)
                progress.advance(len(items))
            seconds = time.perf_counter() - started
            result[task.name] = assemble(task, vectors, {}, Counts(distinct), seconds)
    finally:
        progress.finish()
    return result


def _warn_of_unequal(encoder: BoundEncoder, task: TaskData, role: Role, vectors: Vectors) -> int:
    """Warn of equal texts with different vectors; return the number of distinct texts."""
    first: dict[str, int] = {}
    unequal: set[str] = set()
    for row, item in enumerate(items_of(task, role)):
        same = first.setdefault(item.text, row)
        if same != row and not np.array_equal(vectors[same], vectors[row]):
            unequal.add(item.text)
    if unequal:
        example = next(text for text in first if text in unequal)
        encoder.warn(
            f"equal texts have different vectors: {len(unequal):,} distinct {role} texts of {task.name}, the first is "
            f"{name_text([task], (role,), first[example])}; they do not tie as they would if each were encoded once",
            task.name,
        )
    return len(first)
