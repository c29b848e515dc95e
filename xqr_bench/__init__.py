"""Multilingual retrieval, measured: exact ranks, language bias, records anyone can recompute."""

from __future__ import annotations

TYPE_CHECKING = False  # not imported: nothing but this is loaded before a command listens to Ctrl-C
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Public names load on first use, so that `import xqr_bench` and `xqr-bench --help` stay light.
_PUBLIC = {
    "evaluate": "xqr_bench.api.running.evaluate",
    "run": "xqr_bench.api.running.run",
    "compare": "xqr_bench.api.comparing.compare",
    "load_record": "xqr_bench.record.load_record",
    "load_records": "xqr_bench.record.load_records",
    "recompute": "xqr_bench.record.recompute",
    "load_task": "xqr_bench.tasks.load_task",
    "list_tasks": "xqr_bench.tasks.list_specs",
    "load_encoder": "xqr_bench.encode.load_encoder",
    "check_encoder": "xqr_bench.evaluation.check.check_encoder",
    "Record": "xqr_bench.record.Record",
    "Result": "xqr_bench.record.Result",
    "Comparisons": "xqr_bench.api.comparing.Comparisons",
    "Encoder": "xqr_bench.encode.Encoder",
    "EncoderOptions": "xqr_bench.encode.EncoderOptions",
    "XqrBenchError": "xqr_bench.core.errors.XqrBenchError",
}
# What methods of a record do with modules that stand on it, loaded when they are called.
_OF_RECORDS = {
    "record_html": "xqr_bench.api.views.record_html",
    "record_with_ranks": "xqr_bench.record.keep.record_with_ranks",
    "keep_record": "xqr_bench.record.keep.keep_record",
}

if TYPE_CHECKING:
    from xqr_bench.api.comparing import Comparisons as Comparisons
    from xqr_bench.api.comparing import compare as compare
    from xqr_bench.api.running import evaluate as evaluate
    from xqr_bench.api.running import run as run
    from xqr_bench.api.views import record_html as record_html
    from xqr_bench.core.errors import XqrBenchError as XqrBenchError
    from xqr_bench.encode import Encoder as Encoder
    from xqr_bench.encode import EncoderOptions as EncoderOptions
    from xqr_bench.encode import load_encoder as load_encoder
    from xqr_bench.evaluation.check import check_encoder as check_encoder
    from xqr_bench.record import Record as Record
    from xqr_bench.record import Result as Result
    from xqr_bench.record import load_record as load_record
    from xqr_bench.record import load_records as load_records
    from xqr_bench.record import recompute as recompute
    from xqr_bench.record.keep import keep_record as keep_record
    from xqr_bench.record.keep import record_with_ranks as record_with_ranks
    from xqr_bench.tasks import list_specs as list_tasks  # noqa: F401  (the name is public)
    from xqr_bench.tasks import load_task as load_task

__all__ = ["__version__", *_PUBLIC]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    place = _PUBLIC.get(name) or _OF_RECORDS.get(name)
    if place is None:
        raise AttributeError(f"module 'xqr_bench' has no attribute {name!r}")
    from importlib import import_module

    module, _, attribute = place.rpartition(".")
    return getattr(import_module(module), attribute)
