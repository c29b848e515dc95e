"""Training with a given ratio of monolingual to cross-lingual batches: data -> batch plan -> checkpoint.

train(TrainConfig(...)) -> TrainResult     a model and how it was made (docs/training.md)
XqrEvaluator(task)                          scores a task inside anyone's own training run
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xqr_bench.train.config import TrainConfig
from xqr_bench.train.losses import BatchRows, LossContext
from xqr_bench.train.recipe import STATIC, Recipe, get_recipe, recipe_name
from xqr_bench.train.types import BATCH_TYPES, BatchPlan, BatchType, ParallelData, PlanRow, TrainingPair

# loaded on first use: they bring torch
_LATER = {
    "Outcome": "xqr_bench.train.stage",
    "TrainCache": "xqr_bench.train.workspace",
    "TrainResult": "xqr_bench.train.run",
    "XqrEvaluator": "xqr_bench.train.evaluator",
    "train": "xqr_bench.train.run",
}

if TYPE_CHECKING:
    from xqr_bench.train.evaluator import XqrEvaluator as XqrEvaluator
    from xqr_bench.train.run import TrainResult as TrainResult
    from xqr_bench.train.run import train as train
    from xqr_bench.train.stage import Outcome as Outcome
    from xqr_bench.train.workspace import TrainCache as TrainCache

__all__ = [
    "BATCH_TYPES",
    "STATIC",
    "BatchPlan",
    "BatchRows",
    "BatchType",
    "LossContext",
    "ParallelData",
    "PlanRow",
    "Recipe",
    "TrainConfig",
    "TrainingPair",
    "get_recipe",
    "recipe_name",
    *_LATER,
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'xqr_bench.train' has no attribute {name!r}")
