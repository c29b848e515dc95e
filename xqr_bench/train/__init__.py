"""Training with a given ratio of monolingual to cross-lingual batches: data -> batch plan -> checkpoint."""

from xqr_bench.train.types import BATCH_TYPES, BatchPlan, BatchType, ParallelData, PlanRow, TrainingPair, training_pair

__all__ = ["BATCH_TYPES", "BatchPlan", "BatchType", "ParallelData", "PlanRow", "TrainingPair", "training_pair"]
