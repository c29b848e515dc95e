"""A source of training data, by name or path, as `ParallelData`; a task is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.tasks import list_specs, load_task
from xqr_bench.train.data.base import FORMATS, Entry, Item, Request, build
from xqr_bench.train.data.parts import keep_languages
from xqr_bench.train.types import ParallelData

# Training data from an evaluation task: XQuAD-R, MLQA-R, or any task file.


class TaskReader:
    """A task by name, or a task file: query -> the sentence that answers it."""

    summary = "a task by name (xquad-r, mlqa-r) or a task file (.toml)"

    def claims(self, request: Request) -> bool:
        """Whether it is the name of a task or a .toml file."""
        return request.path.suffix == ".toml" or request.source in {spec.name for spec in list_specs()}

    def read(self, request: Request) -> ParallelData:
        """Read the task."""
        data = load_task(request.source, data_dir=request.data_dir, languages=request.languages, limit=request.limit)
        return from_task(data, languages=request.languages, source=request.source)


FORMATS.register("task")(TaskReader())


def from_task(data: TaskData, *, languages: tuple[str, ...] | None = None, source: str = "") -> ParallelData:
    """The questions of a task with their relevant sentences.

    A question that has several relevant sentences in a language gives the first; the others never stand in its batch.
    """
    chosen = languages or data.languages
    entries: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
    for query, relevants in zip(data.queries, data.relevants, strict=True):
        own = [data.candidates[index] for index in relevants if data.candidates[index].language == query.language]
        if not own or query.language not in chosen:
            continue
        first, *others = (candidate.id.removeprefix(f"{candidate.language}:") for candidate in own)
        group, cluster = (name.removeprefix(f"{query.language}:") for name in (own[0].group, own[0].cluster))
        title = data.titles.get(own[0].cluster, "")
        entry = Entry(query.text, own[0].text, first, cluster, group, also=tuple(others), title=title)
        entries[query.question][query.language] = entry
    items = (Item(question, of, f"{data.name}: question {question}") for question, of in entries.items())
    return build(items, chosen, name=data.name, source=source, files=data.files, partial=data.partial)


# A source of training data, by name or path.


@checked
def load_training_data(
    source: str | Path | TaskData | ParallelData,
    *,
    languages: Sequence[str] | None = None,
    data_dir: Path | str | None = None,
    limit: int | None = None,
) -> ParallelData:
    """Read training data.

    Args:
        source: name of a task, or a path; the format is told from it, or named in front: `bitext:folder`. Options
            of the format follow after `?`: `mmarco?negatives=4`.
        languages: keep only these, in this order.
        data_dir: the folder that holds the files of tasks; default: XQR_BENCH_DATA, else the cache.
        limit: keep only the first so many questions.

    Raises:
        UsageError: no reader takes the source, or `languages`, `limit` or an option cannot be meant as given.
        DataError: a file that is missing, damaged or not in its format; the message names file and line.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}", remedy="keep at least one question")
    wanted = None if languages is None else tuple(languages)
    if isinstance(source, ParallelData):
        return source if wanted is None else keep_languages(source, wanted)
    if isinstance(source, TaskData):
        return from_task(source, languages=wanted)
    text, _, tail = str(source).partition("?")
    options: dict[str, str] = {}
    for part in tail.split("&") if tail else ():
        name, _, options[name] = part.partition("=")
        if not name or "=" not in part:
            raise UsageError(f"{part!r} is no option of a data format", remedy="write ?name=value&name=value")
    folder = None if data_dir is None else Path(data_dir).expanduser()
    head, colon, rest = text.partition(":")
    in_format = bool(colon) and head in FORMATS
    if not (rest if in_format else text).strip():
        raise UsageError(f"{text!r} names no training data", remedy="name a task, a file or a folder; . is this one")
    if in_format:
        return FORMATS.get(head).read(Request(rest, wanted, folder, limit, options))
    request = Request(text, wanted, folder, limit, options)
    readers = {name: FORMATS.get(name) for name in FORMATS}
    for reader in readers.values():
        if reader.claims(request):
            return reader.read(request)
    formats = "; ".join(f"{name}: {reader.summary}" for name, reader in readers.items())
    if not request.path.exists():
        raise DataError(
            f"there is no training data {text!r}: neither a task of this name nor a file or folder", remedy=formats
        )
    if request.path.is_file():
        shown = f"a file ending in {request.path.suffix or 'nothing'}"
    else:
        names = sorted(entry.name for entry in request.path.iterdir())
        shown = (
            f"a folder with {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else "an empty folder"
        )
    raise UsageError(
        f"{text} is in no format of training data known here",
        found=shown,
        remedy=f"put the format in front (bitext:{text}), or use one of these: {formats}",
    )
