"""`xqr-bench train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.common import given, limit_option, split
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.train.config import TrainConfig
    from xqr_bench.train.run import TrainResult

RECIPE_OPTIONS = (
    click.option("--updates", type=int, help="Optimizer steps, one batch each. Default: the recipe's."),
    click.option("--batch-size", type=int, help="Rows of a batch, over all devices."),
    click.option("--learning-rate", type=float, help="Of AdamW."),
    click.option("--weight-decay", type=float, help="Of AdamW."),
    click.option("--temperature", type=float, help="Cosines are divided by it."),
    click.option("--schedule", help="Of the learning rate: constant, linear or cosine."),
    click.option("--warmup", type=float, help="Share of the updates in which the rate rises from 0."),
    click.option("--max-grad-norm", type=float, help="Larger gradients are scaled down to it; 0: never."),
    click.option("--precision", help="fp32, or mixed precision: bf16, fp16."),
    click.option("--query-prompt", help="Put before each query and saved in the model. Default: 'Query: '."),
    click.option("--passage-prompt", help="Put before each passage. Default: 'Passage: '."),
    click.option("--negatives", type=int, help="Hard negatives a row brings with it, where the data has them."),
    click.option("--mini-batch", type=int, help="Rows in memory at once, for large batches (gradient caching)."),
    click.option("--max-length", type=int, help="Tokens after which a text is cut off."),
    click.option("--patience", type=int, help="Validations without a lower loss before training stops; 0: never."),
    click.option("--validate-every", type=int, help="Updates between validations."),
    click.option("--vocabulary", type=int, help="Subwords of a static model."),
    click.option("--dimensions", type=int, help="Columns of a static model's vectors."),
)


def _recipe_options(command: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(RECIPE_OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Train an encoder with a given ratio of monolingual to cross-lingual batches.")
@click.option("--base", default="static", show_default=True, help="static, a folder, a hub name, xlm-r-base or labse.")
@click.option(
    "--data", multiple=True, help="A task's name, a file or a folder (docs/training-data.md); repeat for more."
)
@click.option("--ratio", type=float, help="Share of monolingual batches, 0 to 1. Default with hybrid: 0.5.")
@click.option(
    "--plan", "strategy", default="hybrid", show_default=True, help="How batches are made (docs/batch-plans.md)."
)
@click.option("--mix", default="batch", show_default=True, help="Of hybrid: draw the ratio per batch or per pair.")
@click.option("--turn", type=int, help="Of mono-first and cross-first: first update of the second part.")
@click.option("--shuffle-positives", is_flag=True, help="A negative control: passages of other questions.")
@click.option("--distinct-pairs", default="all", show_default=True, help="all, or as-monolingual.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option("--output", type=click.Path(), help="Folder of the model, made by the run.")
@click.option("--recipe", help="static or paper. Default: static for --base static, else paper.")
@_recipe_options
@click.option("--languages", help="Train on these only, separated by commas.")
@limit_option("Only the first so many questions of each source (to try out).")
@click.option("--data-dir", type=click.Path(), help="Folder with the data files of tasks. Default: XQR_BENCH_DATA.")
@click.option("--align", help="Bitext to train on before, such as a folder of NTREX.")
@click.option("--align-updates", type=int, help="Updates of that. Default: as many as --updates.")
@click.option("--vocabulary-text", "vocabulary_texts", multiple=True, help="More data for a static vocabulary.")
@click.option("--validation", help="Data whose loss is watched and stops the training (--patience).")
@click.option("--zero-shot", multiple=True, help="Refuse data that holds texts of this task; repeat for more.")
@click.option("--look-for", multiple=True, help="Record which texts of this task the data holds.")
@click.option("--save-at", help="Keep the model at these updates too: <output>/checkpoint-<update>.")
@click.option("--checkpoint-every", type=int, default=500, show_default=True, help="Updates; 0: no checkpoints.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished run of this output, if there is one.")
@click.option("--device", help="Such as cpu, cuda. Default: the best there is; static: cpu.")
@click.option("--revision", help="Branch, tag or commit of a hub model.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with a hub model.")
@click.option("--workers", type=int, default=0, show_default=True, help="Processes that prepare batches ahead.")
@click.option("--no-gather", is_flag=True, help="On several devices: negatives from the own part of a batch only.")
@click.option("--dry-run", is_flag=True, help="Read the data, make and show the plan; train nothing.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the model.")
@click.pass_context
def train(ctx: click.Context, /, **options: Any) -> None:
    """Train an encoder: each batch is monolingual with probability RATIO, else cross-lingual.

    The result is a sentence-transformers folder with a training record. On several GPUs: torchrun --nproc-per-node 4
    -m xqr_bench train ..., or accelerate launch -m xqr_bench train ...
    """
    config = _config(options)
    if config.output is None and not options["dry_run"]:
        raise UsageError("there is no place for the model", remedy="give --output DIR, or --dry-run")
    if options["dry_run"]:
        from xqr_bench.train.prepare import prepare

        for line in prepare(config).summary():
            echo(line)
        echo("dry run: nothing was trained")
        return
    _need_accelerate()
    from xqr_bench.cli.progress import TrainingProgress
    from xqr_bench.train.run import train as run
    from xqr_bench.train.workspace import is_first

    first = is_first()
    with TrainingProgress(quiet=options["quiet"] or not first) as observe:
        result = run(config, observe=observe, arguments=_shown(given(ctx)))
    if first:
        _report(result, quiet=options["quiet"])


def _config(options: dict[str, Any]) -> TrainConfig:
    from dataclasses import fields

    from xqr_bench.encode.options import EncoderOptions
    from xqr_bench.train.config import TrainConfig
    from xqr_bench.train.recipe import Recipe, get_recipe

    name = options["recipe"] or ("static" if options["base"] == "static" else "paper")
    values = {field.name: options[field.name] for field in fields(Recipe) if field.name != "name"}
    recipe = get_recipe(name, **values)
    own = {"recipe", "languages", "save_at", "gather", "options"}
    return TrainConfig(
        **{field.name: options[field.name] for field in fields(TrainConfig) if field.name not in own},
        recipe=recipe,
        languages=split(options["languages"]),
        save_at=_numbers(options["save_at"]),
        gather=not options["no_gather"],
        options=EncoderOptions(
            device=options["device"],
            revision=options["revision"],
            trust_remote_code=options["trust_remote_code"],
        ),
    )


def _numbers(text: str | None) -> list[int]:
    try:
        return [int(part) for part in split(text) or []]
    except ValueError:
        raise UsageError(f"--save-at {text!r} are no numbers", remedy="write them as 150,300") from None


def _shown(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}


def _need_accelerate() -> None:
    from importlib.util import find_spec

    if find_spec("accelerate") is None:
        raise UsageError("training needs the package accelerate", remedy="pip install 'xqr-bench[train]'")


def _report(result: TrainResult, *, quiet: bool) -> None:
    from xqr_bench.train.prepare import told

    if quiet:
        echo(str(result.folder))
        return
    for name, stage in (("alignment", result.record.alignment), ("training", result.record.training)):
        if stage is None:
            continue
        found = stage.statistics
        note = f", stopped early; best at {stage.best_update}" if stage.stopped_early else ""
        echo(
            f"{name}: {stage.updates:,} updates{note}, {found['rows']:,} rows, {stage.tokens:,} tokens, "
            f"{found['distinct_pairs']:,} distinct pairs (each {found['repeats_mean']:.1f} times), "
            f"loss {stage.loss[0][1]:.3f} to {stage.loss[-1][1]:.3f}, {stage.seconds:.1f} s"
        )
    for line in (line for findings in result.prepared.findings for line in told(findings)):
        echo(line)
    echo(f"weights: {result.record.weights_digest[:16]}")
    echo(f"model: {result.folder}")
