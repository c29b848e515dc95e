"""What a training run is asked for: its recipe of numbers, its data, and how its batches are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.options import Commas, Counted, Option, flag, line_breaks, whole_numbers
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.train.plans import PlanRequest, check_alpha
from xqr_bench.train.types import ParallelData

# The numbers of a training run, with where each comes from.

STATIC = "static"
"""The initial model that is made from the training text, and the recipe for it."""
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["fp32", "bf16", "fp16"]


@checked
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
        query_prompt: Put before each query and saved in the model; \\n is a line break. Default: 'Query: '.
        passage_prompt: Put before each passage; \\n is a line break. Default: 'Passage: '.
        negatives: Hard negatives a row brings with it, where the data has them.
        mini_batch: Rows in memory at once, for large batches (gradient caching).
        max_length: Tokens after which a text is cut off.
        patience: Validations without a lower loss before training stops; 0: never.
        validate_every: Updates between validations.
        vocabulary: Subwords of a static model.
        dimensions: Columns of a static model's vectors.
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
        rules = {
            **{option: (getattr(self, option) >= low, f"a number from {low} on") for option, low in least.items()},
            "learning_rate": (0 < self.learning_rate < inf, "a number above 0"),
            "temperature": (0 < self.temperature < inf, "a number above 0"),
            "weight_decay": (0 <= self.weight_decay < inf, "a number from 0 on"),
            "max_grad_norm": (0 <= self.max_grad_norm < inf, "a number from 0 on"),
            "warmup": (0 <= self.warmup <= 1, "a share of the updates, from 0 to 1"),
            "max_length": (self.max_length is None or self.max_length >= 1, "a number from 1 on"),
            "schedule": (self.schedule in get_args(Schedule), f"one of: {', '.join(get_args(Schedule))}"),
            "precision": (self.precision in get_args(Precision), f"one of: {', '.join(get_args(Precision))}"),
        }
        for option, (holds, what) in rules.items():
            if not holds:
                raise UsageError(f"{flag(option)} cannot be {getattr(self, option)!r}", remedy=f"use {what}")

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


# What a training run is asked for.

ALIASES = {"xlm-r-base": "FacebookAI/xlm-roberta-base", "labse": "sentence-transformers/LaBSE"}
"""Short names of the initial models of Elmahdy et al. 2024."""

Source = str | Path | ParallelData
PLAN_SETTINGS = ("strategy", "mix", "turn", "shuffle_positives", "distinct_pairs")
"""What a training's batch plan is asked for beside alpha."""


@checked
@dataclass(frozen=True)
class TrainConfig:
    """One training run; the texts of the attributes are those of the options of `xqr-bench train`.

    `base` may also be a SentenceTransformer, which is then trained itself. The seed is that of the plan, of a static
    model's weights and of whatever the model draws: paired arms share it. Without `output` the model stays in memory.

    Attributes:
        base: static, a folder, a hub name, xlm-r-base or labse.
        data: A task's name, a file or a folder (docs/training-data.md); repeat for more.
        alpha: Share of monolingual batches, 0 to 1. Default with hybrid: 0.5.
        strategy: How batches are made (docs/batch-plans.md).
        mix: Of hybrid: draw the ratio per batch or per pair.
        turn: Of mono-first and cross-first: first update of the second part.
        shuffle_positives: A negative control: passages of other questions.
        distinct_pairs: all, or as-monolingual.
        seed: Of every draw.
        recipe: all numbers; None: the recipe `static` for a static base, else `paper`.
        languages: Train on these only, separated by commas.
        limit: Only the first so many questions of each source (to try out).
        data_dir: Folder with the data files of tasks. Default: XQR_BENCH_DATA.
        align: Bitext to train on before, such as a folder of NTREX.
        align_updates: Updates of that. Default: as many as --updates.
        vocabulary_texts: More data for a static vocabulary.
        validation: Data whose loss is watched and stops the training (--patience).
        zero_shot: Refuse data that holds texts of this task; repeat for more.
        look_for: Record which texts of this task the data holds.
        output: Folder of the model, made by the run.
        save_at: Keep the model at these updates too: <output>/checkpoint-<update>.
        checkpoint_every: Updates between checkpoints to resume from; 0: none.
        resume: Go on with the unfinished run of this output, if there is one.
        options: how to load the base: device, revision, trust_remote_code, model_kwargs.
        workers: Processes that prepare batches ahead.
        gather: On several devices: take the passages of all as negatives.

    Raises:
        UsageError: arguments that cannot be meant.
        EncoderError: the base is a folder that does not exist, or a name that can be none.
    """

    section: ClassVar = "Data and run"

    base: Any = STATIC
    data: Sequence[Source] = ()
    alpha: Annotated[float | None, Option("--ratio")] = None
    strategy: Annotated[str, Option("--plan")] = "hybrid"
    mix: str = "batch"
    turn: int | None = None
    shuffle_positives: bool = False
    distinct_pairs: str = "all"
    seed: int = 0
    recipe: Recipe | None = None
    languages: Commas = None
    limit: Counted = None
    data_dir: Path | str | None = None
    align: Source | None = None
    align_updates: int | None = None
    vocabulary_texts: Sequence[Source] = ()
    validation: Source | None = None
    zero_shot: Sequence[str] = ()
    look_for: Sequence[str] = ()
    output: Path | str | None = None
    save_at: Annotated[Sequence[int], Option(parse=whole_numbers)] = ()
    checkpoint_every: int = 0
    resume: bool = False
    options: EncoderOptions = field(default_factory=EncoderOptions)
    workers: int = 0
    gather: bool = True

    def __post_init__(self) -> None:
        if not self.data:
            raise UsageError("there is no training data", remedy="name some with --data")
        check_alpha(self.alpha)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"the seed is {self.seed}", remedy="give a whole number from 0 to 4294967295")
        for option in ("align_updates", "checkpoint_every", "workers"):
            value = getattr(self, option)
            if value is not None and value < 0:
                raise UsageError(f"{flag(option)} cannot be {value}", remedy="use a number from 0 on")
        if self.align is None and self.align_updates is not None:
            raise UsageError("--align-updates needs a bitext to align on", remedy="name one with --align")
        wrong = [step for step in self.save_at if not 0 < step <= self.updates]
        if wrong:
            raise UsageError(
                f"--save-at {wrong[0]} is no update of a run of {self.updates}",
                remedy=f"use numbers from 1 to {self.updates}",
            )
        if not self.static and self.vocabulary_texts:
            raise UsageError("--vocabulary-text is for static models", remedy="leave it out, or give --base static")
        if self.static and self.values.max_length is not None:
            raise UsageError("--max-length has no meaning for static models", remedy="leave it out")
        if self.static and self.values.mini_batch:
            raise UsageError("gradient caching has no use for static models", remedy="leave --mini-batch out")
        if self.static and self.values.precision != "fp32":
            raise UsageError("static models are trained in fp32", remedy="leave --precision out")
        if isinstance(self.base, str | Path) and str(self.base) not in (STATIC, *ALIASES):
            folder = Path(self.base).expanduser()
            if not str(self.base).strip():
                raise UsageError("--base is empty", remedy="name a folder or a hub model, or leave it out")
            if not folder.is_dir():
                # it brings much that a command's help needs not
                from xqr_bench.encode.load import refuse_what_is_no_model

                refuse_what_is_no_model(str(self.base), folder)

    @property
    def static(self) -> bool:
        """Whether the initial model is made from the text."""
        return isinstance(self.base, str) and self.base == STATIC

    @cached_property
    def values(self) -> Recipe:
        """The recipe."""
        return self.recipe or get_recipe(recipe_name(self.base))

    @property
    def updates(self) -> int:
        """Updates after the alignment."""
        return self.values.updates

    def plan_request(self) -> PlanRequest:
        """What the batch plan of the training is asked for."""
        return PlanRequest(
            steps=self.updates,
            batch_size=self.values.batch_size,
            seed=self.seed,
            **{name: getattr(self, name) for name in ("alpha", *PLAN_SETTINGS)},
        )
