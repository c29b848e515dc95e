"""Training data from an evaluation task: XQuAD-R, MLQA-R, or any task file."""

from __future__ import annotations

from collections import defaultdict

from xqr_bench.core.types import TaskData
from xqr_bench.tasks import list_specs, load_task
from xqr_bench.train.data.base import FORMATS, Entry, Item, Origin, Request, build
from xqr_bench.train.types import ParallelData


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
        entries[query.question][query.language] = Entry(
            query.text,
            own[0].text,
            first,
            cluster,
            group,
            also=tuple(others),
            title=data.titles.get(own[0].cluster, ""),
        )
    items = [Item(question, found, f"{data.name}: question {question}") for question, found in entries.items()]
    origin = Origin(data.name, source=source or data.name, files=data.files, partial=data.partial)
    return build(items, chosen, origin)
