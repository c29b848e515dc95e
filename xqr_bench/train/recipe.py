"""The numbers of a training run, whatever its data and its batches, and the two sets of them there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.util import find_spec
from math import inf
from typing import Annotated, Any, ClassVar, Literal, get_args

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError, closest
from xqr_bench.core.options import KeyValues, Option, flag, line_breaks, whole_numbers

STATIC = "static"
"""The initial model that is made from the training text, and the recipe for it."""
INFONCE = "infonce"
"""The loss that is taken where none is named."""
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["fp32", "bf16", "fp16"]


OF_TRANSFORMERS = ("max_length", "train_length", "frozen_layers", "dropout", "parts")
"""Values of a recipe that mean nothing to a static model."""


@checked
@dataclass(frozen=True)
class Recipe:
    """How an encoder is trained, whatever the data and the ratio. Gradient caching: Gao et al. 2021.

    Attributes:
        name: Of the recipe it started from.
        updates: Optimizer steps, one batch each. Default: the recipe's.
        tokens: In place of --updates: as many as these tokens allow, padding and what the loss encodes beside the
            batch counted.
        batch_size: Rows of a batch, over all devices.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        temperature: Cosines are divided by it.
        schedule: Of the learning rate: constant, linear or cosine.
        warmup: Share of the updates in which the rate rises from 0.
        max_grad_norm: Larger gradients are scaled down to it; 0: never.
        precision: fp32, or mixed precision: bf16, fp16.
        query_prompt: Put before each query and saved in the model; \\n is a line break. Default: 'Query: '.
        passage_prompt: Put before each passage; \\n is a line break. Default: 'Passage: '.
        negatives: Hard negatives a row brings with it, where the data has them.
        mini_batch: Rows in memory at once, for large batches (gradient caching).
        max_length: Tokens after which a text is cut off, also by the model that is made.
        train_length: Tokens after which a text is cut off in training only. Default: the model's limit.
        frozen_layers: Lower layers that are not trained, nor the embeddings; 0: the embeddings only. Default: none.
        dropout: While it is trained. Default: the model's own.
        parts: Parts of a batch that are encoded one after another, sorted by length: less padding. Default: one.
        patience: Validations without a lower loss before training stops; 0: never.
        validate_every: Updates between validations.
        vocabulary: Subwords of a static model.
        dimensions: Columns of a static model's vectors.
        loss: What is minimised: infonce, or another one of docs/losses.md.
        loss_args: An argument of the loss, such as weight=0.5; repeat for more.
        matryoshka: Also apply the loss to the first so many columns, such as 64,128, each as if alone.
        lora: Train low-rank adapters, merged at the end: rank=8, and other arguments of peft's LoraConfig; repeat.
        trainer_args: Pass on to the trainer, such as gradient_checkpointing=true; repeat for more.
    """

    section: ClassVar = "Recipe"

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
    query_prompt: Annotated[str, Option(parse=line_breaks)] = "Query: "
    passage_prompt: Annotated[str, Option(parse=line_breaks)] = "Passage: "
    negatives: int = 0
    mini_batch: int = 0
    max_length: int | None = None
    train_length: int | None = None
    frozen_layers: int | None = None
    dropout: float | None = None
    parts: int | None = None
    patience: int = 3
    validate_every: int = 100
    vocabulary: int = 16_000
    dimensions: int = 256
    tokens: int | None = None
    loss: str = INFONCE
    loss_args: KeyValues = field(default_factory=dict, hash=False)
    matryoshka: Annotated[Sequence[int], Option(parse=whole_numbers)] = ()
    lora: Annotated[KeyValues, Option("--lora")] = field(default_factory=dict, hash=False)
    trainer_args: KeyValues = field(default_factory=dict, hash=False)

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
        rules = {
            **{option: (getattr(self, option) >= low, f"a number from {low} on") for option, low in least.items()},
            "learning_rate": (0 < self.learning_rate < inf, "a number above 0"),
            "temperature": (0 < self.temperature < inf, "a number above 0"),
            "weight_decay": (0 <= self.weight_decay < inf, "a number from 0 on"),
            "max_grad_norm": (0 <= self.max_grad_norm < inf, "a number from 0 on"),
            "warmup": (0 <= self.warmup <= 1, "a share of the updates, from 0 to 1"),
            "tokens": (self.tokens is None or self.tokens >= 1, "a number from 1 on"),
            **{
                option: (value is None or value >= low, f"a number from {low} on")
                for option, low in {"max_length": 1, "train_length": 1, "frozen_layers": 0, "parts": 1}.items()
                for value in (getattr(self, option),)
            },
            "dropout": (self.dropout is None or 0 <= self.dropout < 1, "a share from 0 to below 1"),
            "matryoshka": (
                all(size >= 1 for size in self.matryoshka) and len(set(self.matryoshka)) == len(self.matryoshka),
                "numbers of columns from 1 on, each once, as 64,128",
            ),
            "schedule": (self.schedule in get_args(Schedule), f"one of: {', '.join(get_args(Schedule))}"),
            "precision": (self.precision in get_args(Precision), f"one of: {', '.join(get_args(Precision))}"),
        }
        for option, (holds, what) in rules.items():
            if not holds:
                raise UsageError(f"{flag(option)} cannot be {getattr(self, option)!r}", remedy=f"use {what}")
        if self.parts is not None and (self.mini_batch or self.loss != INFONCE):
            raise UsageError(
                "--parts is for the loss infonce without gradient caching",
                found=f"--mini-batch {self.mini_batch}" if self.mini_batch else f"--loss {self.loss}",
                remedy="leave it out",
            )
        _refuse_trainer_args(self.trainer_args)
        rank = self.lora.get("rank")
        if self.lora and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
            raise UsageError(f"--lora has the rank {rank!r}", remedy="give --lora rank=8, or another whole number")
        if self.lora and self.frozen_layers is not None:
            raise UsageError("--lora trains nothing but its adapters", remedy="leave --frozen-layers out")

    @property
    def of_transformers(self) -> list[str]:
        """The values given that mean nothing to a static model."""
        return [name for name in OF_TRANSFORMERS if getattr(self, name) is not None]

    def refuse_sizes(self, width: int) -> None:
        """Refuse numbers of columns (`matryoshka`) that vectors of this width do not have.

        Raises:
            UsageError: there is one.
        """
        if self.matryoshka and max(self.matryoshka) > width:
            raise UsageError(
                f"--matryoshka {max(self.matryoshka)} is more than the {width} columns of the vectors",
                remedy=f"use numbers up to {width}",
            )

    def values(self) -> dict[str, Any]:
        """All values, for records."""
        return {**asdict(self), "matryoshka": list(self.matryoshka)}


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe as a file has them; what an earlier version did not know has its default, as it did."""
    known = {one.name: one.default for one in fields(Recipe) if one.name not in ("name", "updates")}
    return {**known, "loss_args": {}, "matryoshka": [], "lora": {}, "trainer_args": {}, **values}


PASSED_ON = (
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "dataloader_prefetch_factor",
    "ddp_backend",
    "ddp_bucket_cap_mb",
    "ddp_find_unused_parameters",
    "ddp_timeout",
    "gradient_checkpointing",
    "gradient_checkpointing_kwargs",
    "learning_rate_mapping",
    "optim",
    "optim_args",
    "project",
    "report_to",
    "run_name",
    "tf32",
    "torch_compile",
    "torch_compile_backend",
    "torch_compile_mode",
    "torch_empty_cache_steps",
    "trackio_space_id",
    "use_liger_kernel",
)
"""Arguments of sentence-transformers' trainer that leave the batches, their order and the schedule as they are."""


def _refuse_trainer_args(given: Mapping[str, Any]) -> None:
    """Check that the arguments are some that may be passed on.

    Raises:
        UsageError: one would change what the recipe, the plan or the place of the run says, or there is none such; or
            what is to be reported to is not installed.
    """
    for name in given:
        if name not in PASSED_ON:
            raise UsageError(
                f"--trainer-arg {name} is not passed on",
                found=closest(name, PASSED_ON) or "the recipe, the plan or the run says it, or there is none such",
                remedy=f"use one of: {', '.join(PASSED_ON)}",
            )
    report = given.get("report_to", ())
    names = [report] if isinstance(report, str) else report
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) and one.isidentifier() for one in names):
        raise UsageError(f"--trainer-arg report_to={report!r} names no package", remedy="use trackio or wandb, or none")
    for name in names:
        if name != "none" and find_spec(name) is None:
            raise UsageError(f"the package {name} is not installed", remedy=f"pip install {name}, or leave it out")


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
    if changes.get("tokens") is not None and changes.get("updates") is not None:
        raise UsageError("--tokens and --updates both say when training ends", remedy="give one of them")
    return replace(RECIPES[name], **{option: value for option, value in changes.items() if value is not None})
