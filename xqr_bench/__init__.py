"""Multilingual retrieval, measured: exact ranks, language bias, records anyone can recompute."""

from __future__ import annotations

TYPE_CHECKING = False  # not imported: nothing but this is loaded before a command listens to Ctrl-C
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Public names load on first use, so that `import xqr_bench` and `xqr-bench --help` stay light.
_PUBLIC = {
    "evaluate": "xqr_bench.evaluation.evaluate.evaluate_one",
    "load_task": "xqr_bench.tasks.load_task",
    "load_encoder": "xqr_bench.encode.load_encoder",
    "check_encoder": "xqr_bench.evaluation.check.check_encoder",
    "load_record": "xqr_bench.record.load_record",
    "Record": "xqr_bench.record.Record",
    "Result": "xqr_bench.record.Result",
    "Encoder": "xqr_bench.encode.Encoder",
    "XqrBenchError": "xqr_bench.core.errors.XqrBenchError",
}

if TYPE_CHECKING:
    from xqr_bench.core.errors import XqrBenchError as XqrBenchError
    from xqr_bench.encode import Encoder as Encoder
    from xqr_bench.encode import load_encoder as load_encoder
    from xqr_bench.evaluation.check import check_encoder as check_encoder
    from xqr_bench.evaluation.evaluate import evaluate_one as evaluate  # noqa: F401  (the name is public)
    from xqr_bench.record import Record as Record
    from xqr_bench.record import Result as Result
    from xqr_bench.record import load_record as load_record
    from xqr_bench.tasks import load_task as load_task

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        module, _, attribute = _PUBLIC[name].rpartition(".")
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'xqr_bench' has no attribute {name!r}")
