"""What a training run is asked for: its recipe of numbers, its data, its loss, and how its batches are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Commas, Counted, Option, flag, whole_numbers
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.train.losses import ChosenLoss, Loss, choose_loss
from xqr_bench.train.plans import PlanRequest, check_alpha
from xqr_bench.train.recipe import INFONCE, STATIC, Recipe, get_recipe, recipe_name
from xqr_bench.train.types import ParallelData

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
        loss: instead of a name in the recipe: a callable as docs/losses.md describes them, such as a class of yours;
            its arguments are the recipe's `loss_args`.
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
    loss: Loss | None = None
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
        _ = self.chosen_loss  # what it cannot be is told first
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
        if self.values.tokens is None:  # the updates of a budget are not known yet
            self.check_save_at()
        if not self.static and self.vocabulary_texts:
            raise UsageError("--vocabulary-text is for static models", remedy="leave it out, or give --base static")
        if self.static and self.values.of_transformers:
            option = flag(self.values.of_transformers[0])
            raise UsageError(f"{option} has no meaning for static models", remedy="leave it out")
        if self.static and self.values.mini_batch:
            raise UsageError("gradient caching has no use for static models", remedy="leave --mini-batch out")
        if self.static:
            self.values.refuse_sizes(self.values.dimensions)
        if self.static and self.values.lora:
            raise UsageError("static models have no layers to adapt", remedy="leave --lora out")
        if self.static and self.values.trainer_args.get("gradient_checkpointing"):
            raise UsageError("static models have no layers to checkpoint", remedy="leave gradient_checkpointing out")
        if self.values.lora and find_spec("peft") is None:
            raise UsageError("--lora needs the package peft", remedy="pip install 'xqr-bench[lora]'")
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
    def chosen_loss(self) -> ChosenLoss:
        """The loss, its arguments checked.

        Raises:
            UsageError: there is none of this name, or it takes no such argument.
        """
        recipe = self.recipe or get_recipe(recipe_name(self.base))
        if self.loss is not None and recipe.loss != INFONCE:
            raise UsageError(f"two losses: {recipe.loss} in the recipe and an object", remedy="give one of them")
        return choose_loss(recipe.loss if self.loss is None else self.loss, recipe.loss_args, recipe.mini_batch)

    @cached_property
    def values(self) -> Recipe:
        """The recipe, with all arguments of the loss."""
        recipe = self.recipe or get_recipe(recipe_name(self.base))
        return replace(recipe, loss=self.chosen_loss.name, loss_args=self.chosen_loss.arguments)

    @property
    def updates(self) -> int:
        """Updates after the alignment."""
        return self.values.updates

    def check_save_at(self) -> None:
        """Refuse updates at which the model is to be kept that the run does not have.

        Raises:
            UsageError: there is one.
        """
        wrong = [step for step in self.save_at if not 0 < step <= self.updates]
        if wrong:
            raise UsageError(
                f"--save-at {wrong[0]} is no update of a run of {self.updates}",
                remedy=f"use numbers from 1 to {self.updates}",
            )

    def plan_request(self) -> PlanRequest:
        """What the batch plan of the training is asked for."""
        return PlanRequest(
            steps=self.updates,
            batch_size=self.values.batch_size,
            seed=self.seed,
            **{name: getattr(self, name) for name in ("alpha", *PLAN_SETTINGS)},
        )
