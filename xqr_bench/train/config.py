"""What a training run is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UsageError
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.train.initial import STATIC, check_base
from xqr_bench.train.plans import PlanRequest, check_ratio
from xqr_bench.train.recipe import Recipe, flag, get_recipe
from xqr_bench.train.types import ParallelData

Source = str | Path | ParallelData
PLAN_SETTINGS = ("strategy", "mix", "turn", "shuffle_positives", "distinct_pairs")
"""What a training's batch plan is asked for beside the ratio."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        base: "static", a folder, a hub name, or a SentenceTransformer, which is then trained itself.
        data: sources of training data (see `load_training_data`).
        ratio: probability of a monolingual batch (alpha); None: the strategy's own, .5 with hybrid.
        strategy, mix, turn, shuffle_positives, distinct_pairs: of the batch plan (see `PlanRequest`).
        seed: of the plan, of a static model's weights and of whatever the model draws; paired arms share it.
        recipe: all numbers; None: the recipe `static` for a static base, else `paper`.
        languages: train on these only.
        limit: use only the first so many questions of each source.
        data_dir: folder with the data files of tasks.
        align: bitext to train on before, cross-lingual, with the same recipe; None: none.
        align_updates: how many updates that takes; None: as many as the recipe has.
        vocabulary_texts: further data whose texts a static vocabulary is also learned from.
        validation: data whose loss is watched; None: none.
        zero_shot: tasks whose texts must not be in any of the data.
        look_for: tasks whose texts are looked for and only recorded.
        output: folder of the model, made by the run; None: the model stays in memory.
        save_at: numbers of updates at which the model is kept as it is then, besides the end.
        checkpoint_every: updates between checkpoints to resume from; 0: none.
        resume: go on with the unfinished run of this output, where there is one.
        options: how to load the base: device, revision, trust_remote_code, model_kwargs.
        workers: processes that prepare batches ahead; 0: none but the own.
        gather: on several processes take the passages of all as negatives.

    Raises:
        UsageError: arguments that cannot be meant.
    """

    base: Any = STATIC
    data: Sequence[Source] = ()
    ratio: float | None = None
    strategy: str = "hybrid"
    mix: str = "batch"
    turn: int | None = None
    shuffle_positives: bool = False
    distinct_pairs: str = "all"
    seed: int = 0
    recipe: Recipe | None = None
    languages: Sequence[str] | None = None
    limit: int | None = None
    data_dir: Path | str | None = None
    align: Source | None = None
    align_updates: int | None = None
    vocabulary_texts: Sequence[Source] = ()
    validation: Source | None = None
    zero_shot: Sequence[str] = ()
    look_for: Sequence[str] = ()
    output: Path | str | None = None
    save_at: Sequence[int] = ()
    checkpoint_every: int = 0
    resume: bool = False
    options: EncoderOptions = field(default_factory=EncoderOptions)
    workers: int = 0
    gather: bool = True

    def __post_init__(self) -> None:
        if not self.data:
            raise UsageError("there is no training data", remedy="name some with --data")
        check_ratio(self.ratio)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise UsageError(f"the seed is {self.seed!r}", remedy="give a whole number from 0 to 4294967295")
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
        check_base(self.base)

    @property
    def static(self) -> bool:
        """Whether the initial model is made from the text."""
        return isinstance(self.base, str) and self.base == STATIC

    @cached_property
    def values(self) -> Recipe:
        """The recipe."""
        return self.recipe or get_recipe(STATIC if self.static else "paper")

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
            **{name: getattr(self, name) for name in ("ratio", *PLAN_SETTINGS)},
        )
