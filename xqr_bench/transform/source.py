"""What a transform is estimated on, where it is not the task itself."""

from __future__ import annotations

from collections.abc import Sequence

from xqr_bench.data.bitext import read_bitext
from xqr_bench.errors import UsageError
from xqr_bench.transform.options import TransformOptions
from xqr_bench.types import TaskData


def read_source(options: TransformOptions | None, tasks: Sequence[TaskData]) -> TaskData | None:
    """The translated sentences that a transform is estimated on, in the languages of the tasks; None without.

    Raises:
        DataError: the folder cannot be read, or lacks a language.
        UsageError: it has the name of one of the tasks.
    """
    if options is None or options.source is None:
        return None
    languages = dict.fromkeys(code for task in tasks for code in task.languages)
    found = read_bitext(options.source, list(languages))
    if found.name in {task.name for task in tasks}:
        raise UsageError(
            f"the folder {options.source} has the name of a task",
            found=found.name,
            remedy="give it another name: records name what they were estimated on by its folder",
        )
    return found
