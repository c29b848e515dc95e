"""`xqr-bench train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xqr_bench.cli.common import if_stopped
from xqr_bench.cli.options import given
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Part, Sections, takes
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.train.config import TrainConfig
from xqr_bench.train.losses import told
from xqr_bench.train.recipe import INFONCE, Recipe, get_recipe, recipe_name

FIRST = [
    "--data",
    "--ratio",
    "--base",
    "--output",
    "--updates",
    "--batch-size",
    "--seed",
    "--device",
    "--recipe",
    "--dry-run",
]
"""What most users need first."""


@click.command(cls=Sections, first=FIRST)
@takes(
    config=Part(
        TrainConfig,
        leave=("recipe", "loss", "options", "checkpoint_every"),
        help={"gather": "On several devices: negatives from the own part of a batch only."},
    ),
    values=Part(Recipe, leave=("name",), defaults=False),
    encoder=Part(
        EncoderOptions,
        only=("device", "revision", "trust_remote_code"),
        help={"device": "Such as cpu, cuda. Default: the best there is; static: cpu."},
    ),
)
@click.option("--recipe", help="static or paper. Default: static for --base static, else paper.")
@click.option("--checkpoint-every", type=int, default=500, show_default=True, help="Updates; 0: no checkpoints.")
@click.option("--dry-run", is_flag=True, help="Read the data, make and show the plan; train nothing.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the model.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    config: dict[str, Any],
    values: dict[str, Any],
    encoder: dict[str, Any],
    recipe: str | None,
    checkpoint_every: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Train an encoder: each batch is monolingual with probability RATIO, else cross-lingual.

    The result is a sentence-transformers folder with a training record. On several GPUs: torchrun --nproc-per-node 4
    -m xqr_bench train ..., or accelerate launch -m xqr_bench train ...
    """
    asked = TrainConfig(
        **config,
        recipe=get_recipe(recipe or recipe_name(config["base"]), **values),
        options=EncoderOptions(**encoder),
        checkpoint_every=checkpoint_every,
    )
    if not asked.updates and not asked.align_updates:
        raise UsageError("--updates 0 trains nothing", remedy="use a number from 1 on, or align only: --align-updates")
    if asked.output is None and not dry_run:
        raise UsageError("there is no place for the model", remedy="give --output DIR, or --dry-run")
    if dry_run:
        from xqr_bench.train.prepare import prepare

        loss = [] if asked.values.loss == INFONCE else [f"loss: {asked.values.loss}{told(asked.values.loss_args)}"]
        echo("\n".join([*prepare(asked).summary(), *loss, "dry run: nothing was trained"]))
        return
    from xqr_bench.cli.progress import TrainingProgress
    from xqr_bench.train.run import train as run
    from xqr_bench.train.workspace import Workspace, is_first, need_accelerate

    need_accelerate()
    first = is_first()
    arguments = {
        "ratio" if name == "alpha" else name: list(value) if isinstance(value, tuple) else value  # named as the options
        for name, value in given(ctx).items()
    }
    unfinished = Workspace(Path(str(asked.output)).expanduser()).folder

    def how_to_go_on() -> str:
        if not unfinished.exists():
            return "nothing was trained yet"
        return f"{unfinished} is kept: the same command with --resume goes on from its last checkpoint"

    with if_stopped(how_to_go_on), TrainingProgress(quiet=quiet or not first) as observe:
        result = run(asked, observe=observe, arguments=arguments)
    if first:
        echo(str(result.folder) if quiet else "\n".join(result.summary()))
