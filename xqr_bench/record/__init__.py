"""The result record: provenance, scores, ranks; load, save, migrate, recompute."""

from xqr_bench.record.describe import represented_languages, unrepresented_languages
from xqr_bench.record.keep import load_records
from xqr_bench.record.model import (
    SCHEMA_VERSION,
    LanguageCounts,
    LanguageDiagnostics,
    ModelInfo,
    Provenance,
    RanksInfo,
    Record,
    TaskInfo,
    TextCounts,
    TextDiagnostics,
)
from xqr_bench.record.rank_checks import check_possible
from xqr_bench.record.rank_files import load_ranks, ranks_digest, save_ranks
from xqr_bench.record.relevance_files import save_relevance
from xqr_bench.record.short import shortened
from xqr_bench.record.store import (
    Difference,
    Result,
    check_ranks,
    folder_name,
    load_record,
    proved,
    recompute,
    record_files,
    record_path,
    save_record,
    to_json,
)

__all__ = [
    "SCHEMA_VERSION",
    "Difference",
    "LanguageCounts",
    "LanguageDiagnostics",
    "ModelInfo",
    "Provenance",
    "RanksInfo",
    "Record",
    "Result",
    "TaskInfo",
    "TextCounts",
    "TextDiagnostics",
    "check_possible",
    "check_ranks",
    "folder_name",
    "load_ranks",
    "load_record",
    "load_records",
    "proved",
    "ranks_digest",
    "recompute",
    "record_files",
    "record_path",
    "represented_languages",
    "save_ranks",
    "save_record",
    "save_relevance",
    "shortened",
    "to_json",
    "unrepresented_languages",
]
