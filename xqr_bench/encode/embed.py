"""Texts of tasks -> embeddings: each distinct text is encoded once, checked, and put wherever it stands."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xqr_bench.encode.bound import BoundEncoder, TextEncoder, VectorLookup
from xqr_bench.encode.checks import Vectors, check_dimensions, check_values
from xqr_bench.encode.context import in_context
from xqr_bench.encode.embeddings import ROLES, Embeddings, assemble
from xqr_bench.encode.plan import Group, items_of, name_text, plan_groups
from xqr_bench.encode.protocol import EncodeProgress, Role
from xqr_bench.errors import EncoderError, UsageError
from xqr_bench.types import TaskData


class _Silent:
    def start(self, total: int) -> None: ...

    def advance(self, n: int) -> None: ...

    def finish(self) -> None: ...


def embed_tasks(
    encoder: BoundEncoder,
    tasks: Sequence[TaskData],
    *,
    progress: EncodeProgress | None = None,
    allow_zero_vectors: bool = False,
) -> dict[str, Embeddings]:
    """Return the vectors of each task, by task name.

    All distinct texts of all tasks are encoded once, the longest first (memory runs out at the start if it does,
    and the time left is not underestimated), and checked chunk by chunk. Equal texts have identical vectors.
    The last bits of a vector can depend on the texts encoded with it, hence on which tasks are embedded together.

    Args:
        encoder: from `load_encoder`; its identity then knows the dimensions, and its warnings may have grown.
        tasks: with different names.
        progress: told how many texts are done.
        allow_zero_vectors: keep vectors of only zeros, counted, instead of refusing them.

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
        return _encode(encoder, tasks, progress or _Silent(), allow_zero_vectors)
    raise EncoderError(
        f"a {type(encoder).__name__} is not bound", remedy="pass it to xqr_bench.encode.load_encoder first"
    )


def _encode(
    encoder: TextEncoder, tasks: Sequence[TaskData], progress: EncodeProgress, allow_zero: bool
) -> dict[str, Embeddings]:
    started = time.perf_counter()
    groups = plan_groups(tasks, symmetric=encoder.symmetric)
    vectors: dict[tuple[str, Role], Vectors] = {}
    flags: dict[tuple[str, Role], NDArray[np.bool_] | None] = {}
    progress.start(sum(len(group.texts) for group in groups))
    try:
        for group in groups:
            group_flags = _encode_group(encoder, group, tasks, vectors, progress, allow_zero)
            for place in group.destinations:
                flags[place.key] = None if group_flags is None else group_flags[place.text_of_row]
    finally:
        progress.finish()
    seconds = time.perf_counter() - started
    for task in tasks:
        for role in ROLES:  # a role without texts
            vectors.setdefault((task.name, role), np.empty((0, encoder.identity.dimensions or 0), dtype=np.float32))
    distinct: dict[str, int] = dict.fromkeys([task.name for task in tasks], 0)
    for group in groups:
        for name in distinct:
            used = [place.text_of_row for place in group.destinations if place.task.name == name]
            distinct[name] += len(np.unique(np.concatenate(used)))
    return {task.name: assemble(task, vectors, flags, distinct[task.name], seconds) for task in tasks}


def _encode_group(
    encoder: TextEncoder,
    group: Group,
    tasks: Sequence[TaskData],
    vectors: dict[tuple[str, Role], Vectors],
    progress: EncodeProgress,
    allow_zero: bool,
) -> NDArray[np.bool_] | None:
    """Encode the texts of a group into `vectors`; return which are truncated, bool `[texts]`, None when unknown."""
    flags: list[NDArray[np.bool_]] = []
    for start in range(0, len(group.texts), encoder.chunk_size):
        texts = group.texts[start : start + encoder.chunk_size]
        chunk = _encode_chunk(encoder, group, tasks, start, texts)
        what = name_text(tasks, group.roles, texts[0])
        check_dimensions(chunk.shape[1], encoder.identity.dimensions, encoder.name, what)
        encoder.settle_dimensions(chunk.shape[1])
        check_values(
            chunk,
            encoder.name,
            lambda row, texts=texts: name_text(tasks, group.roles, texts[row]),  # type: ignore[misc]
            allow_zero=allow_zero,
        )
        for place in group.destinations:
            if place.key not in vectors:
                vectors[place.key] = np.empty((len(place.text_of_row), chunk.shape[1]), dtype=np.float32)
            rows = place.rows_of(start, start + len(texts))
            vectors[place.key][rows] = chunk[place.text_of_row[rows] - start]
        cut_off = _truncated(encoder, group, tasks, start, texts)
        if cut_off is not None:
            flags.append(cut_off)
        progress.advance(len(texts))
    return np.concatenate(flags) if flags and sum(map(len, flags)) == len(group.texts) else None


def _encode_chunk(
    encoder: TextEncoder, group: Group, tasks: Sequence[TaskData], start: int, texts: list[str]
) -> Vectors:
    try:
        returned = encoder.call(group.role, list(texts))
    except Exception as error:  # whatever a plugin raises
        raise _failed(encoder, group, tasks, start, texts, error) from error
    try:
        return encoder.matrix(returned, len(texts))
    except EncoderError as error:
        first = f"the first of these {len(texts):,} texts is {name_text(tasks, group.roles, texts[0])}"
        raise EncoderError(error.problem, found=f"{error.found}; {first}", remedy=error.remedy) from error


def _truncated(
    encoder: TextEncoder, group: Group, tasks: Sequence[TaskData], start: int, texts: list[str]
) -> NDArray[np.bool_] | None:
    try:
        cut_off = encoder.truncated(group.role, list(texts))
    except Exception as error:
        raise _failed(encoder, group, tasks, start, texts, error) from error
    if cut_off is None:
        return None
    flags = np.asarray(cut_off, dtype=np.bool_)
    if flags.shape != (len(texts),):
        raise EncoderError(
            f"truncated() of the encoder {encoder.name} returned no bool per text",
            found=f"shape {flags.shape} for {len(texts):,} texts",
            remedy="return a list of bools as long as the list of texts, or leave the method out",
        )
    return flags


def _failed(
    encoder: TextEncoder, group: Group, tasks: Sequence[TaskData], start: int, texts: list[str], error: Exception
) -> EncoderError:
    message = str(error).strip().splitlines()
    out_of_memory = isinstance(error, MemoryError) or "out of memory" in str(error)
    return EncoderError(
        f"the encoder {encoder.name} failed on texts {start + 1:,} to {start + len(texts):,} of "
        f"{len(group.texts):,} (sorted by length, longest first)",
        found=type(error).__name__ + (f": {message[0]}" if message else ""),
        remedy="give a smaller --batch-size or --max-length"
        if out_of_memory
        else f"encode such a text alone to see why, such as {name_text(tasks, group.roles, texts[0])}",
    )


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
            result[task.name] = assemble(task, vectors, {}, distinct, seconds)
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
