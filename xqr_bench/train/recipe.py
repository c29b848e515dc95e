"""Recipes: the numbers of a training run, with where each comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.options import flag

STATIC = "static"
"""The initial model that is made from the training text, and the recipe for it."""
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["fp32", "bf16", "fp16"]
SCHEDULES: tuple[Schedule, ...] = ("constant", "linear", "cosine")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Recipe:
    """How an encoder is trained, whatever the data and the ratio. Gradient caching: Gao et al. 2021.

    Attributes:
        name: Of the recipe it started from.
        updates: Optimizer steps, one batch each. Default: the recipe's.
        batch_size: Rows of a batch, over all devices.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        temperature: Cosines are divided by it.
        schedule: Of the learning rate: constant, linear or cosine.
        warmup: Share of the updates in which the rate rises from 0.
        max_grad_norm: Larger gradients are scaled down to it; 0: never.
        precision: fp32, or mixed precision: bf16, fp16.
        query_prompt: Put before each query and saved in the model. Default: 'Query: '.
        passage_prompt: Put before each passage. Default: 'Passage: '.
        negatives: Hard negatives a row brings with it, where the data has them.
        mini_batch: Rows in memory at once, for large batches (gradient caching).
        max_length: Tokens after which a text is cut off.
        patience: Validations without a lower loss before training stops; 0: never.
        validate_every: Updates between validations.
        vocabulary: Subwords of a static model.
        dimensions: Columns of a static model's vectors.
    """

    name: str
    updates: int
    batch_size: int = 100
    learning_rate: float = 3e-5
    weight_decay: float = 0.01
    temperature: float = 0.05
    schedule: Schedule = "linear"
    warmup: float = 0.0
    max_grad_norm: float = 1.0
    precision: Precision = "fp32"
    query_prompt: str = "Query: "
    passage_prompt: str = "Passage: "
    negatives: int = 0
    mini_batch: int = 0
    max_length: int | None = None
    patience: int = 3
    validate_every: int = 100
    vocabulary: int = 16_000
    dimensions: int = 256

    def __post_init__(self) -> None:
        least = {
            "updates": 0,
            "batch_size": 2,
            "negatives": 0,
            "mini_batch": 0,
            "patience": 0,
            "validate_every": 1,
            "vocabulary": 300,
            "dimensions": 1,
        }
        for option, low in least.items():
            if getattr(self, option) < low:
                raise UsageError(
                    f"{flag(option)} cannot be {getattr(self, option)}", remedy=f"use a number from {low} on"
                )
        for option in ("learning_rate", "temperature"):
            if not 0 < getattr(self, option) < float("inf"):
                raise UsageError(f"{flag(option)} cannot be {getattr(self, option)}", remedy="use a number above 0")
        for option in ("weight_decay", "max_grad_norm"):
            if not 0 <= getattr(self, option) < float("inf"):
                raise UsageError(f"{flag(option)} cannot be {getattr(self, option)}", remedy="use a number from 0 on")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"--warmup cannot be {self.warmup}", remedy="use a share of the updates, from 0 to 1")
        if self.max_length is not None and self.max_length < 1:
            raise UsageError(f"--max-length cannot be {self.max_length}", remedy="use a number from 1 on")
        choices: dict[str, tuple[str, ...]] = {"schedule": SCHEDULES, "precision": PRECISIONS}
        for option, known in choices.items():
            if getattr(self, option) not in known:
                raise UsageError(
                    f"{flag(option)} cannot be {getattr(self, option)!r}", remedy=f"use one of: {', '.join(known)}"
                )

    def values(self) -> dict[str, Any]:
        """All values, for records."""
        return asdict(self)


RECIPES: dict[str, Recipe] = {
    # Elmahdy et al. 2024 (arXiv 2408.10536): AdamW, weight decay .01, learning rate 3e-5, batch 100, the prefixes,
    # early stopping on a validation loss. Not stated there, so sentence-transformers' defaults: temperature (scale 20),
    # linear decay without warm-up, gradient norm 1. The number of updates is only where training ends at the latest.
    "paper": Recipe("paper", updates=3000),
    # Small models learned from nothing on a CPU. A constant rate, so that a checkpoint at half of the updates is what
    # a run of half the updates gives. Rate and temperature are a first choice: docs/ratio-study-plan.md says how they
    # are to be chosen for the study. No clipping: a pass over all weights for gradients that never grew in trials.
    "static": Recipe("static", updates=600, learning_rate=1e-3, schedule="constant", max_grad_norm=0.0),
}


def recipe_name(base: Any) -> str:
    """The recipe for an initial model."""
    return STATIC if isinstance(base, str) and base == STATIC else "paper"


def get_recipe(name: str, **changes: Any) -> Recipe:
    """The recipe called `name`, with some values changed; changes that are None are left out.

    Raises:
        UnknownNameError: there is no such recipe.
        UsageError: a value that cannot be meant.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    unknown = set(changes) - {field.name for field in fields(Recipe)}
    if unknown:
        raise UnknownNameError("value of a recipe", sorted(unknown)[0], (field.name for field in fields(Recipe)))
    return replace(RECIPES[name], **{option: value for option, value in changes.items() if value is not None})
