"""TREC runs out and in, and pytrec_eval as a second opinion (docs/interop.md)."""

from xqr_bench.trec.evaluate import evaluate_runs, ranks_of_run, run_identity
from xqr_bench.trec.layout import LAYOUT
from xqr_bench.trec.peers import Agreement, PytrecEval
from xqr_bench.trec.write import DEFAULT_DEPTH, RunPlan, check_settings, plan_runs, write_runs

__all__ = [
    "DEFAULT_DEPTH",
    "LAYOUT",
    "Agreement",
    "PytrecEval",
    "RunPlan",
    "check_settings",
    "evaluate_runs",
    "plan_runs",
    "ranks_of_run",
    "run_identity",
    "write_runs",
]
