"""Tasks and their data: a TOML file -> a checked `TaskSpec` -> `TaskData`.

`docs/tasks.md` describes task files, the source format, and where data is looked for.
"""

from xqr_bench.data.catalog import list_specs, load_spec, own_file, resolve_task
from xqr_bench.data.download import Progress
from xqr_bench.data.load import load_task
from xqr_bench.data.readers import READERS, LanguageData, Question, Reader, Sentence
from xqr_bench.data.sources import Place, data_folder, fetch, locate, pending_downloads, read_place
from xqr_bench.data.spec import DEFAULT_METRICS, GroupMembers, Licence, SourceFile, TaskSpec
from xqr_bench.data.verify import FileCheck, verify

__all__ = [
    "DEFAULT_METRICS",
    "READERS",
    "FileCheck",
    "GroupMembers",
    "LanguageData",
    "Licence",
    "Place",
    "Progress",
    "Question",
    "Reader",
    "Sentence",
    "SourceFile",
    "TaskSpec",
    "data_folder",
    "fetch",
    "list_specs",
    "load_spec",
    "load_task",
    "locate",
    "own_file",
    "pending_downloads",
    "read_place",
    "resolve_task",
    "verify",
]
