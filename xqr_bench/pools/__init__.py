"""Other pools from the counts of a record: any languages, one left out, labelled ones only, growing, of equal size."""

from xqr_bench.pools.report import DEFAULT_VIEWS, VIEWS, PoolReport, pool_report

__all__ = ["DEFAULT_VIEWS", "VIEWS", "PoolReport", "pool_report"]
