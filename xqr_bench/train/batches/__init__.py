"""From data and a strategy to a plan: languages drawn by the strategy, questions drawn apart, no false negatives."""

from xqr_bench.train.batches.make import make_plan
from xqr_bench.train.batches.plan_file import load_plan, save_plan
from xqr_bench.train.batches.statistics import PlanStatistics, plan_statistics
from xqr_bench.train.batches.summary import summary_lines

__all__ = ["PlanStatistics", "load_plan", "make_plan", "plan_statistics", "save_plan", "summary_lines"]
