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
    evaluate_run,
    index_options,
    run_writer,
    transform_options,
)
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.encode import BoundEncoder, EncoderOptions, VectorStore
    from xqr_bench.encode.transform import TransformOptions
    from xqr_bench.rank.index import IndexOptions
    from xqr_bench.record import Record


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
    file.py:Object; an installed plugin; precomputed:DIR; or run:DIR, a ranking made elsewhere (TREC runs).
    `xqr-bench encoders` lists them.
    """
    from xqr_bench.encode import load_encoder
    from xqr_bench.encode.load import RUN_PREFIX

    session = Session(options)
    transform = chosen_transform(options)
    index = chosen_index(options)
    check_index_options(session.specs, index, options)
    if index is not None and options["score_device"] not in (None, "auto", "cpu"):
        raise UsageError("an index is searched on the processor", remedy="leave --index or --score-device out")
    store = chosen_store(options)
    if model.startswith(RUN_PREFIX):
        evaluate_run(session, model, options_of(options), given(ctx), options)
        return
    encoder = load_encoder(model, options_of(options))
    try:
        kept = {name: value for name, value in given(ctx).items() if name not in CACHE_OPTIONS}
        _run(session, encoder, model, transform, index, store, kept, options)
    finally:
        encoder.close()


def options_of(options: Mapping[str, Any]) -> EncoderOptions:
    """How to load and use the encoder, from the values of `encoder_options`."""
    from dataclasses import fields

    from xqr_bench.encode import EncoderOptions

    names = [field.name for field in fields(EncoderOptions) if field.name != "model_kwargs"]
    return EncoderOptions(**{name: options[name] for name in names}, model_kwargs=json_object(options["model_kwargs"]))


def _run(
    session: Session,
    encoder: BoundEncoder,
    model: str,
    transform: TransformOptions | None,
    index: IndexOptions | None,
    store: VectorStore | None,
    given: dict[str, Any],
    options: dict[str, Any],
) -> None:
    from pathlib import Path

    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.evaluation.pipeline import evaluate_tasks, record_name, rehearse

    session.say(f"encoder {encoder.name}" + (f" on {encoder.device}" if encoder.device else ""))
    if encoder.hint is not None:
        session.say(encoder.hint)
    if options["dry_run"]:
        session.show_licences(session.specs)
        with RunProgress(quiet=session.quiet) as observe:
            plans = rehearse(encoder, session.specs, observe=observe, **session.chosen)
        for plan in plans:
            echo(plan)
        echo("dry run: nothing was written")
        return
    name = record_name(encoder, transform, index)
    todo = session.todo(name, encoder.identity)
    folder = Path(options["save_index"]) if options["save_index"] is not None else None
    if folder is not None and not todo:
        raise UsageError("there is nothing to evaluate, so no index to save", remedy="give --overwrite")
    records: list[Record] = []
    if todo:
        with RunProgress(quiet=session.quiet) as observe:
            records = evaluate_tasks(
                encoder,
                todo,
                allow_zero_vectors=options["allow_zero_vectors"],
                score_device=options["score_device"] or "auto",
                **({} if options["memory"] is None else {"memory": options["memory"]}),
                metrics=session.metrics,
                on_vectors=run_writer(session, encoder, name, todo, options, observe),
                observe=observe,
                transform=transform,
                index=index,
                index_folder=folder,
                overwrite_index=options["overwrite"],
                store=store,
                arguments={"model": model, **{key: value for key, value in given.items() if key != "model"}},
                **session.chosen,
            )
    for record in records:
        texts = record.provenance.texts
        if texts is not None and texts.from_store:
            session.say(f"{record.task.name}: {texts.from_store:,} of {texts.distinct:,} texts came from the store")
    session.finish(name, records)
    if folder is not None:
        session.say(f"index: {folder}")
