"""Tasks and their data: a TOML file -> a checked `TaskSpec` -> `TaskData`.

`docs/tasks.md` describes task files, the source format, and where data is looked for.
"""

from xqr_bench.tasks.find import list_specs, load_spec, own_file, resolve_task
from xqr_bench.tasks.load import Selection, load_task
from xqr_bench.tasks.readers import READERS, DataFile, Reader, SourceCandidate, SourceData, SourceQuestion, reader
from xqr_bench.tasks.sources import (
    FileCheck,
    Place,
    data_folder,
    fetch,
    locate,
    pending_downloads,
    verify,
)
from xqr_bench.tasks.spec import DEFAULT_METRICS, SEPARATE_METRICS, SourceFile, TaskSpec

__all__ = [
    "DEFAULT_METRICS",
    "READERS",
    "SEPARATE_METRICS",
    "DataFile",
    "FileCheck",
    "Place",
    "Reader",
    "Selection",
    "SourceCandidate",
    "SourceData",
    "SourceFile",
    "SourceQuestion",
    "TaskSpec",
    "data_folder",
    "fetch",
    "list_specs",
    "load_spec",
    "load_task",
    "locate",
    "own_file",
    "pending_downloads",
    "reader",
    "resolve_task",
    "verify",
]
