"""`xqr-bench evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.cache import OPTIONS as CACHE_OPTIONS
from xqr_bench.cli.cache import cache_options, chosen_store
from xqr_bench.cli.common import Session, given, json_object, task_options, trec_options
from xqr_bench.cli.options import (
    check_index_options,
    chosen_index,
    chosen_transform,
    index_options,
    score_and_save,
    transform_options,
)
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.encode import BoundEncoder, EncoderOptions


def _backend(ctx: click.Context, option: click.Parameter, backend: str) -> None:
    needs = {"onnx": "optimum-onnx", "openvino": "optimum-intel"}
    if backend in needs:
        raise UsageError(
            f"--backend {backend} cannot be used: sentence-transformers runs it through {needs[backend]}, which does "
            "not install beside the versions of constraints.txt",
            remedy=f"leave it out; or `pip install 'sentence-transformers[{backend}]'` in an environment of its own, "
            "and evaluate the model as an encoder of your own (docs/encoders.md)",
        )
    if backend != "torch":
        raise UsageError(f"there is no backend {backend!r}", remedy="leave --backend out: torch is the only one")


def encoder_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say how to load and use the encoder."""
    options = [
        click.option("--name", help="Name of the record, instead of the encoder's own name."),
        click.option("--revision", help="Branch, tag or commit of a hub model."),
        click.option("--device", help="Such as cpu, cuda, cuda:1, mps. Default: the best there is."),
        click.option("--dtype", help="Cast the weights: float32, bfloat16 or float16."),
        click.option(
            "--backend",
            default="torch",
            show_default=True,
            expose_value=False,
            callback=_backend,
            help="torch; why no other: docs/encoders.md.",
        ),
        click.option("--batch-size", type=int, help="Texts encoded together, at most."),
        click.option("--token-budget", type=int, help="Tokens encoded together, padding included, at most."),
        click.option("--max-length", type=int, help="Tokens after which a text is cut off."),
        click.option("--truncate-dim", type=int, help="Keep only the first columns of the vectors."),
        click.option("--query-prompt", help="Put before each query, instead of the model's own prompt."),
        click.option("--candidate-prompt", help="Put before each candidate."),
        click.option("--prompt-name", help="One of the model's named prompts, for the queries."),
        click.option("--candidate-context", help="paragraph: encode each candidate together with its paragraph."),
        click.option("--context-template", help="How, instead of '{sentence}', a line break and '{paragraph}'."),
        click.option("--model-kwargs", help="JSON object passed on to the transformers model."),
        click.option("--similarity", help="cosine or dot, instead of what the model declares."),
        click.option("--trust-remote-code", is_flag=True, help="Run code that comes with a hub model."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from xqr_bench.encode.store import parse_size

    return None if value is None else parse_size(value)


@click.command(short_help="Score an encoder on one or more tasks; write records.")
@click.argument("model")
@task_options
@click.option("--dry-run", is_flag=True, help="Check data and encoder on a few texts; write nothing.")
@click.option("--allow-zero-vectors", is_flag=True, help="Score zero vectors as 0 and count them.")
@trec_options
@transform_options
@index_options
@cache_options
@encoder_options
@click.option(
    "--memory",
    metavar="SIZE",
    callback=_size,
    help="To rank in, beside the vectors: such as 256MiB (the default) or 2GB.",
)
@click.option(
    "--score-device",
    help="Where scores are counted: cpu, cuda, cuda:1. Default: the encoder's GPU; for vectors made before, any GPU.",
)
@click.pass_context
def evaluate(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Score the encoder MODEL: monolingual, cross-lingual, multilingual, bias.

    MODEL is a sentence-transformers name or folder; char-ngrams (built in, no download); package.module:Object or
    file.py:Object; an installed plugin; precomputed:DIR; or a ranking without an encoder: run:DIR, made elsewhere
    (TREC runs), bm25, random:SEED or oracle. `xqr-bench encoders` lists encoders.
    """
    from xqr_bench.encode import load_encoder
    from xqr_bench.evaluation.evaluate import registered_ranker

    session = Session(options)
    transform = chosen_transform(options)
    index = chosen_index(options)
    check_index_options(session.specs, index, options)
    if index is not None and options["score_device"] not in (None, "auto", "cpu"):
        raise UsageError("an index is searched on the processor", remedy="leave --index or --score-device out")
    store = chosen_store(options)
    arguments = {name: value for name, value in given(ctx).items() if name not in CACHE_OPTIONS}
    ranker = registered_ranker(model, options_of(options))
    if ranker is not None:
        _refuse_options_of_vectors(model, options)
        score_and_save(session, ranker, options, arguments)
        return
    encoder = load_encoder(model, options_of(options))
    try:
        session.say(f"encoder {encoder.name}" + (f" on {encoder.device}" if encoder.device else ""))
        if encoder.hint is not None:
            session.say(encoder.hint)
        if options["dry_run"]:
            _rehearse(session, encoder)
        else:
            _evaluate(session, encoder, {"transform": transform, "index": index, "store": store}, options, arguments)
    finally:
        encoder.close()


def options_of(options: Mapping[str, Any]) -> EncoderOptions:
    """How to load and use the encoder, from the values of `encoder_options`."""
    from dataclasses import fields

    from xqr_bench.encode import EncoderOptions

    names = [field.name for field in fields(EncoderOptions) if field.name != "model_kwargs"]
    return EncoderOptions(**{name: options[name] for name in names}, model_kwargs=json_object(options["model_kwargs"]))


def _refuse_options_of_vectors(model: str, options: Mapping[str, Any]) -> None:
    family = model.partition(":")[0]
    names = ["dry_run", "allow_zero_vectors", "transform", "index", "memory", "score_device"]
    names += ["trec_run"] if family == "run" else []  # it is one
    wrong = [f"--{name.replace('_', '-')}" for name in names if options[name]]
    if wrong:
        what = "a run" if family == "run" else family
        raise UsageError(f"{', '.join(wrong)} cannot be used with {what}", remedy="leave it out")


def _rehearse(session: Session, encoder: BoundEncoder) -> None:
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.evaluation.vectors import rehearse

    session.show_licences(session.specs)
    with RunProgress(quiet=session.quiet) as observe:
        plans = rehearse(encoder, session.specs, session.select, observe)
    for plan in plans:
        echo(plan)
    echo("dry run: nothing was written")


def _evaluate(
    session: Session,
    encoder: BoundEncoder,
    chosen: Mapping[str, Any],
    options: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> None:
    from pathlib import Path

    from xqr_bench.evaluation.vectors import VectorRanker

    folder = Path(options["save_index"]) if options["save_index"] is not None else None
    ranker = VectorRanker(
        encoder,
        index_folder=folder,
        overwrite_index=options["overwrite"],
        allow_zero_vectors=options["allow_zero_vectors"],
        score_device=options["score_device"] or "auto",
        **({} if options["memory"] is None else {"memory": options["memory"]}),
        **chosen,
    )
    evaluated = score_and_save(session, ranker, options, arguments)
    if folder is not None:
        if not evaluated:
            raise UsageError("there is nothing to evaluate, so no index to save", remedy="give --overwrite")
        session.say(f"index: {folder}")
