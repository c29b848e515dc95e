"""Conditions, arms and seeds of docs/ratio-study-plan.md, as a list of runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.options import split
from xqr_bench.encode.options import DTYPES
from xqr_bench.studies.ratio.form import BUILT_IN
from xqr_bench.train import STATIC, Recipe, TrainConfig, get_recipe, recipe_name

STUDY = BUILT_IN
CHECKPOINTS = (25, 50, 100, 200)
"""Percent of the updates at which a run is scored; the training goes on to the last."""
PRIMARY = 100
FOLD_SEED = 0


@dataclass(frozen=True)
class Condition:
    """What is trained on, and what is evaluated.

    Attributes:
        name: in ids and on the command line.
        train, evaluate: tasks.
        bitext: what the vocabulary is also learned from.
        aligned: whether the initial model is trained on the bitext first.
        folds: parts of the articles, each scored by models that were trained on the others; 0: no folds.
        fold_seed: of the drawing of folds; the same in all runs.
        use_folds: only these; None: all.
        held_out: groups of languages; fold f of rotation r (seed modulo groups) trains without group f + r.
        given: whether the initial model comes from elsewhere, the same for every seed: its arm without training is
            then run once.
        plan: file of the study's plan, in docs/.
        arms: those of the plan, in the order in which they are run; empty: all.
        own_language: whether own language first is one of the primary scores.
    """

    name: str
    train: str
    evaluate: str
    bitext: str | None = "ntrex"
    aligned: bool = True
    folds: int = 0
    fold_seed: int = FOLD_SEED
    use_folds: tuple[int, ...] | None = None
    held_out: tuple[tuple[str, ...], ...] = ()
    given: bool = False
    plan: str = "ratio-study-plan.md"
    arms: tuple[str, ...] = ()
    own_language: bool = False

    @property
    def parts(self) -> tuple[int | None, ...]:
        """Fold numbers; (None,) without folds."""
        return (None,) if not self.folds else self.use_folds or tuple(range(self.folds))

    def languages_out(self, seed: int, fold: int | None) -> tuple[str, ...]:
        """Languages that a run is not trained on."""
        if fold is None or not self.held_out:
            return ()
        groups = len(self.held_out)
        return self.held_out[(fold + seed % groups) % groups]


DEMO = "demo"
GIVEN = "E1"
"""The condition for an initial model from elsewhere, which brings its own alignment."""
_ROTATION = (("ar", "th", "en"), ("de", "tr", "hi"), ("el", "vi", "es"), ("ru", "zh"))
CONDITIONS = {
    condition.name: condition
    for condition in (
        Condition("S1b", "mlqa-r", "xquad-r"),
        Condition("S1a", "mlqa-r", "xquad-r", aligned=False),
        Condition("S2", "xquad-r", "xquad-r", folds=4, held_out=_ROTATION),
        Condition("S3", "xquad-r", "mlqa-r"),
        Condition(
            GIVEN,
            "mlqa-r",
            "xquad-r",
            bitext=None,
            aligned=False,
            given=True,
            own_language=True,
            plan="e5-study-plan.md",
            arms=("alpha-0.5", "alpha-0", "alpha-1", "untrained", "alpha-0-pairs", "alpha-0.25", "alpha-0.75"),
        ),
        Condition(DEMO, "mini", "mini", bitext=None, aligned=False),  # to try the command out; not of the plan
    )
}
TUNING = Condition("tuning", "mlqa-r", "mlqa-r", folds=5, fold_seed=1000, use_folds=(0,))
"""A fifth of the training articles, held out: where the numbers of the recipe are chosen."""
TUNING_GIVEN = replace(TUNING, bitext=None, aligned=False, given=True)
"""The same for an initial model from elsewhere."""


@dataclass(frozen=True)
class Arm:
    """One way of making the batches.

    Attributes:
        name: in ids and on the command line.
        about: for tables.
        plan: arguments of `TrainConfig`; None: no update of training.
        recipe: values of the recipe in which it differs from the others: loss, loss_args, temperature, ...; the
            alignment has them too, but for the loss.
        turn: whether the second part begins after half of the updates.
        aligned: whether the alignment is done, where the condition has one.
        half_of: the arm whose checkpoint at half of the updates this one is; it has no run of its own.
    """

    name: str
    about: str
    plan: dict[str, Any] | None = field(default=None, hash=False)
    recipe: dict[str, Any] = field(default_factory=dict, hash=False)
    turn: bool = False
    aligned: bool = True
    half_of: str | None = None


def hybrid(alpha: float) -> Arm:
    """The arm of a ratio."""
    return Arm(f"alpha-{alpha:g}", f"hybrid, alpha {alpha:g} per batch", {"strategy": "hybrid", "alpha": alpha})


_RATIO = re.compile(r"alpha-([0-9]+(?:\.[0-9]+)?)")
ALPHAS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
ARMS = {
    arm.name: arm
    for arm in (
        *map(hybrid, ALPHAS),
        Arm("pair-0.5", "alpha .5 per row", {"strategy": "hybrid", "alpha": 0.5, "mix": "pair"}),
        Arm("mono-first", "alpha .5, monolingual first", {"strategy": "mono-first", "alpha": 0.5}, turn=True),
        Arm("cross-first", "alpha .5, cross-lingual first", {"strategy": "cross-first", "alpha": 0.5}, turn=True),
        Arm("x-x", "same-language rows, batches of many languages", {"strategy": "x-x"}),
        Arm("x-y-fixed", "one ordered language pair a batch", {"strategy": "x-y-fixed"}),
        Arm("alpha-1-half", "monolingual, half of the updates", half_of="alpha-1"),
        Arm("alpha-0-half", "cross-lingual, half of the updates", half_of="alpha-0"),
        Arm(
            "alpha-0-pairs",
            "cross-lingual, as many distinct pairs as monolingual",
            {"strategy": "hybrid", "alpha": 0.0, "distinct_pairs": "as-monolingual"},
        ),
        Arm(
            "shuffled",
            "alpha .5, passages of other questions",
            {"strategy": "hybrid", "alpha": 0.5, "shuffle_positives": True},
        ),
        Arm("aligned", "alignment only"),
        Arm("untrained", "neither alignment nor training", aligned=False),
    )
}


@dataclass(frozen=True)
class Numbers:
    """What is the same in all runs of a folder.

    Attributes:
        base: initial model, as for `train`.
        recipe: its `updates` are 100%; a constant learning rate, so that a checkpoint is what a shorter run gives.
        align_updates: updates of the alignment.
        checkpoints: percent of the updates at which runs are scored.
        device: where a model is trained and encodes; None: the best there is (static: cpu).
        dtype: type of the weights with which a trained model encodes the task, such as "bfloat16"; None: float32.
    """

    base: str
    recipe: Recipe
    align_updates: int
    checkpoints: tuple[int, ...] = CHECKPOINTS
    device: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None and (self.base == STATIC or self.dtype not in DTYPES):
            raise UsageError(
                "a static model encodes in float32" if self.base == STATIC else f"--dtype cannot be {self.dtype!r}",
                remedy="leave --dtype out" if self.base == STATIC else f"use one of: {', '.join(DTYPES)}",
            )
        if self.recipe.schedule != "constant" or self.recipe.warmup:
            raise UsageError(
                "a study needs a constant learning rate without warm-up",
                remedy="its checkpoints stand for shorter runs",
            )
        if PRIMARY not in self.checkpoints or len(set(self.checkpoints)) < len(self.checkpoints):
            raise UsageError(
                f"--checkpoints cannot be {', '.join(map(str, self.checkpoints))}",
                remedy=f"name each percentage once, {PRIMARY} among them",
            )
        if self.recipe.updates < 1:
            raise UsageError("--updates cannot be 0", remedy="use a number from 1 on")
        uneven = [percent for percent in self.checkpoints if self.recipe.updates * percent % 100]
        if uneven:
            factor = math.lcm(*(100 // math.gcd(percent, 100) for percent in self.checkpoints))
            raise UsageError(
                f"--checkpoints asks for {uneven[0]}% of {self.recipe.updates} updates, which is no whole number",
                remedy=f"use a multiple of {factor} as --updates, or other --checkpoints",
            )

    def of_arm(self, arm: Arm) -> Numbers:
        """With what an arm changes in them.

        Raises:
            UsageError: it cannot be trained so.
        """
        made = replace(self, recipe=replace(self.recipe, **arm.recipe))
        TrainConfig(base=self.base, data=("any",), recipe=made.recipe)
        if made.recipe.tokens is not None and self.checkpoints != (PRIMARY,):
            raise UsageError(
                "with a budget of tokens a run is scored at its end only: how many updates it has is found then",
                found=f"--checkpoints at {', '.join(map(str, self.checkpoints))}%",
                remedy=f"give --checkpoints {PRIMARY}",
            )
        if arm.turn and made.recipe.tokens is not None:
            raise UsageError(
                "it turns after half of the updates, and a budget of --tokens does not say how many",
                remedy="leave it out, or give --updates in place of --tokens",
            )
        if arm.turn and made.recipe.updates % 2:
            raise UsageError(
                f"it turns after half of the updates, and {made.recipe.updates} have no half",
                remedy="leave it out, or use an even number as --updates",
            )
        return made

    @property
    def most_updates(self) -> int:
        """Updates of a run: up to its last checkpoint."""
        return self.updates_at(max(self.checkpoints))

    def updates_at(self, percent: int) -> int:
        """Updates done at a checkpoint."""
        return self.recipe.updates * percent // 100

    def values(self) -> dict[str, Any]:
        """As JSON values; not the device, on which nothing but the last bits should depend."""
        return {
            "base": self.base,
            "recipe": self.recipe.values(),
            "align_updates": self.align_updates,
            "checkpoints": list(self.checkpoints),
            **({} if self.dtype is None else {"dtype": self.dtype}),
        }


def numbers_of(
    tuned: Mapping[str, Any] = MappingProxyType({}),
    *,
    base: str = STATIC,
    recipe: str | None = None,
    align_updates: int | None = None,
    checkpoints: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    **given: Any,
) -> Numbers:
    """The numbers of runs: what is given, what was tuned, what the recipe has; in this order.

    Args:
        tuned: values of the recipe that were chosen in the folder.
        base: initial model, as for `train`.
        recipe: its name; None: that of the base.
        align_updates: of the alignment; None: as many as the recipe has, untuned.
        checkpoints: percent of the updates at which runs are scored, such as "25,50,100"; None: those of the plan.
        device: where a model is trained and encodes.
        dtype: type in which a trained model encodes the task.
        given: other values of the recipe.

    Raises:
        UsageError: values that cannot be meant, or not together.
    """
    plain = get_recipe(recipe or recipe_name(base), schedule="constant")
    if given.get("tokens") is not None:  # of which it takes the place
        tuned = {name: value for name, value in tuned.items() if name != "updates"}
    chosen = get_recipe(plain.name, schedule="constant", **{**tuned, **given})
    updates = plain.updates if align_updates is None else align_updates
    at = CHECKPOINTS if checkpoints is None else read_checkpoints(checkpoints)
    return Numbers(base, chosen, updates, at, device, dtype)


@dataclass(frozen=True)
class Run:
    """One training and its results; of a given initial model without training there is one for all seeds."""

    condition: Condition
    arm: Arm
    seed: int
    fold: int | None = None

    @property
    def id(self) -> str:
        """`S1b/alpha-0.5/seed-03`, with folds `.../fold-1`: also its folder."""
        fold = "" if self.fold is None else f"/fold-{self.fold}"
        return f"{self.condition.name}/{self.arm.name}/seed-{self.seed:02d}{fold}"

    def tokens(self, recipe: Recipe) -> int | None:
        """The budget of tokens of its training, of the arm or else of the recipe; None: a number of updates."""
        tokens: int | None = self.arm.recipe.get("tokens", recipe.tokens)
        return tokens if self.arm.plan is not None else None

    def design(self) -> dict[str, Any]:
        """What condition and arm decide of the run, as JSON values."""
        decides = {
            "condition": ("train", "evaluate", "bitext", "aligned", "folds", "fold_seed", "held_out"),
            "arm": ("plan", "recipe", "turn", "aligned"),
        }
        named = {of: {name: getattr(getattr(self, of), name) for name in names} for of, names in decides.items()}
        as_json: dict[str, Any] = json.loads(json.dumps(named))
        return as_json


def run_of(condition: Condition, arm: Arm, seed: int, fold: int | None) -> Run:
    """The run that holds the results of an arm: that of `half_of`; `untrained` for `aligned` without an alignment.

    A given initial model that is not trained has the same results with every seed: those of seed 0.
    """
    arm = ARMS[arm.half_of] if arm.half_of else arm
    if arm.name == "aligned" and not condition.aligned:
        arm = ARMS["untrained"]
    return Run(condition, arm, 0 if condition.given and arm.plan is None else seed, fold)


def find_arm(name: str) -> Arm:
    """The arm of this name: one of the plan, or `alpha-` and another ratio from 0 to 1, such as `alpha-0.3`.

    Raises:
        UnknownNameError: it is neither, or the ratio is not written as briefly as it can be.
    """
    alpha = alpha_of(name)
    if name not in ARMS and alpha is None:
        raise UnknownNameError("arm", name, ARMS)
    return ARMS[name] if alpha is None or name in ARMS else hybrid(alpha)


def alpha_of(arm: str) -> float | None:
    """The ratio of an arm on the curve; None: it is a control."""
    written = _RATIO.fullmatch(arm)
    alpha = float(written[1]) if written else -1.0
    return alpha if 0 <= alpha <= 1 and arm == hybrid(alpha).name else None


def read_checkpoints(text: str) -> tuple[int, ...]:
    """The percentages of a text such as `25,50,100`, in rising order.

    Raises:
        UsageError: it has none.
    """
    parts = split(text)
    if not parts or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"--checkpoints {text!r} cannot be read", remedy="write percentages from 1 on, as 25,50,100")
    return tuple(sorted(map(int, parts)))


def read_seeds(text: str) -> list[int]:
    """The seeds of a text such as `0-9` or `0,3,5-7`.

    Raises:
        UsageError: it has none, a range that goes down, or more than 1,000.
    """
    seeds: list[int] = []
    for part in split(text):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)) or int(last or first) < int(first):
            raise UsageError(f"--seeds {text!r} cannot be read", remedy="write them as 0-9 or 0,3,5-7")
        of_part = range(int(first), int(last or first) + 1)
        if len(seeds) + (of_part.stop - of_part.start) > 1000:
            raise UsageError(f"--seeds {text!r} are more than 1,000 seeds", remedy="name fewer, such as 0-9")
        seeds += of_part
    return seeds


def conditions_of(folder: Path, conditions: Collection[str] = CONDITIONS) -> list[str]:
    """Those of these conditions that a folder has runs of."""
    return [name for name in conditions if (folder / name).is_dir()]


def plan_of(conditions: Sequence[str]) -> str:
    """The file of the plan that these conditions belong to.

    Raises:
        UnknownNameError: no such condition.
        UsageError: they are of several plans.
    """
    for name in conditions:
        if name not in CONDITIONS:
            raise UnknownNameError("condition", name, CONDITIONS)
    plans = {CONDITIONS[name].plan: name for name in conditions}
    if len(plans) > 1:
        raise UsageError(
            "these conditions are of several plans",
            found=", ".join(f"{name}: docs/{plan}" for plan, name in plans.items()),
            remedy="sweep them into folders of their own",
        )
    return next(iter(plans), "ratio-study-plan.md")


def check_asked(conditions: Sequence[str], seeds: Sequence[int]) -> None:
    """Check that there is something to run.

    Raises:
        UsageError: no condition or no seed, or a seed that cannot be meant.
    """
    wrong = [seed for seed in seeds if not 0 <= seed < 2**32]
    if wrong or not seeds or not conditions:
        raise UsageError(
            f"the seed is {wrong[0]}" if wrong else "no run is left", remedy="name conditions, and seeds from 0 on"
        )


def list_runs(conditions: Sequence[str], arms: Sequence[str] | None, seeds: Sequence[int]) -> list[Run]:
    """The runs of these conditions, arms (None: all of the plan) and seeds; arms next to each other share a seed.

    Without an alignment `aligned` is the same as `untrained`, which is done. An arm that is a checkpoint of another one
    stands for that one.

    Raises:
        UnknownNameError: no such condition or arm.
        UsageError: nothing is left, or a seed that cannot be meant.
    """
    plan_of(conditions)
    wanted = {name: list(map(find_arm, arms or CONDITIONS[name].arms or ARMS)) for name in conditions}
    check_asked(conditions, seeds)
    runs = [
        run_of(condition, arm, seed, fold)
        for condition in (CONDITIONS[name] for name in conditions)
        for seed in seeds
        for fold in condition.parts
        for arm in wanted[condition.name]
    ]
    return list({run.id: run for run in runs}.values())
