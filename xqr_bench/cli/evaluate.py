"""`xqr-bench evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xqr_bench.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.data import TaskSpec
    from xqr_bench.encode import BoundEncoder, EncoderOptions
    from xqr_bench.record import Record


def _encoder_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say how to load and use the encoder."""
    options = [
        click.option("--name", help="Name of the record, instead of the encoder's own name."),
        click.option("--revision", help="Branch, tag or commit of a hub model."),
        click.option("--device", help="Such as cpu, cuda, cuda:1, mps. Default: the best there is."),
        click.option("--dtype", help="Cast the weights: float32, bfloat16 or float16."),
        click.option("--batch-size", type=int, help="Texts encoded together."),
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


@click.command(short_help="Score an encoder on one or more tasks; write records.")
@click.argument("model")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    default=("mini",),
    show_default=True,
    help="Name of a task or path of a task file; repeat for more.",
)
@click.option(
    "--data-dir",
    type=click.Path(),
    help="Folder with the data files (<folder>/xquad-r/en.json). Default: XQR_BENCH_DATA, else the cache.",
)
@click.option(
    "--output",
    type=click.Path(),
    default="results",
    show_default=True,
    help="Folder for the records: <output>/<model>/<task>.json.",
)
@click.option("--overwrite", is_flag=True, help="Evaluate again where a record exists.")
@click.option("--languages", help="Only these, separated by commas (to try out; such a record is marked).")
@click.option("--limit", type=int, help="Only the first so many questions (to try out; marked).")
@click.option("--dry-run", is_flag=True, help="Check data and encoder on a few texts; write nothing.")
@click.option("--allow-zero-vectors", is_flag=True, help="Score zero vectors as 0 and count them.")
@click.option("--quiet", is_flag=True, help="Print nothing but the paths of the records.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON list.")
@_encoder_options
@click.pass_context
def evaluate(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Score the encoder MODEL: monolingual, cross-lingual, multilingual, bias.

    MODEL is a sentence-transformers name or folder; char-ngrams (built in, no download); package.module:Object or
    file.py:Object; an installed plugin; or precomputed:DIR. `xqr-bench encoders` lists them.
    """
    from xqr_bench.encode import load_encoder

    if options["quiet"] and options["as_json"]:
        raise UsageError("--quiet and --json exclude each other", remedy="give one of them")
    encoder = load_encoder(model, _options_of(options))
    try:
        _run(encoder, model, _given(ctx), options)
    finally:
        encoder.close()


def _options_of(options: dict[str, Any]) -> EncoderOptions:
    import json
    from dataclasses import fields

    from xqr_bench.encode import EncoderOptions

    kwargs: Any = {}
    if options["model_kwargs"] is not None:
        try:
            kwargs = json.loads(options["model_kwargs"])
        except ValueError as error:
            raise UsageError(f"--model-kwargs is not JSON: {error}", remedy="""write it as '{"key": 1}'""") from None
        if not isinstance(kwargs, dict):
            raise UsageError("--model-kwargs is not a JSON object", remedy="""write it as '{"key": 1}'""")
    names = [field.name for field in fields(EncoderOptions) if field.name != "model_kwargs"]
    return EncoderOptions(**{name: options[name] for name in names}, model_kwargs=kwargs)


def _given(ctx: click.Context) -> dict[str, Any]:
    """The arguments the user gave, without defaults."""
    commandline = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in ctx.params.items() if ctx.get_parameter_source(name) == commandline}


def _run(encoder: BoundEncoder, model: str, given: dict[str, Any], options: dict[str, Any]) -> None:
    from pathlib import Path

    from rich.console import Console

    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.data import resolve_task
    from xqr_bench.pipeline import evaluate_tasks
    from xqr_bench.record import record_path, save_record, to_json
    from xqr_bench.report.terminal import results

    quiet = options["quiet"]
    say = Console(stderr=True, quiet=quiet, highlight=False)
    languages = options["languages"].split(",") if options["languages"] is not None else None
    specs = [resolve_task(task) for task in dict.fromkeys(options["tasks"])]
    _refuse_same_names(specs)
    output = Path(options["output"])
    say.print(f"encoder {encoder.name}" + (f" on {encoder.device}" if encoder.device else ""))
    chosen = {"data_dir": options["data_dir"], "languages": languages, "limit": options["limit"]}

    if options["dry_run"]:
        from xqr_bench.pipeline import rehearse

        _show_licences(specs, say, options["data_dir"])
        with RunProgress(quiet=quiet) as progress:
            plans = rehearse(encoder, specs, progress=progress, data_progress=progress.data, **chosen)
        for plan in plans:
            click.echo(plan)
        click.echo("dry run: nothing was written")
        return

    todo: list[TaskSpec] = []
    for spec in specs:
        path = record_path(output, encoder.name, spec.name)
        if path.exists() and not options["overwrite"]:
            say.print(f"{path} exists already: skipped (--overwrite evaluates again){_other_encoder(path, encoder)}")
        else:
            todo.append(spec)
    records: list[Record] = []
    if todo:
        _show_licences(todo, say, options["data_dir"])
        with RunProgress(quiet=quiet) as progress:
            records = evaluate_tasks(
                encoder,
                todo,
                allow_zero_vectors=options["allow_zero_vectors"],
                progress=progress,
                data_progress=progress.data,
                arguments={"model": model, **{key: value for key, value in given.items() if key != "model"}},
                **chosen,
            )
    paths = [save_record(record, record_path(output, encoder.name, record.task.name)) for record in records]
    if options["as_json"]:
        click.echo("[" + ",\n".join(to_json(record) for record in records) + "]")
    elif quiet:
        for path in paths:
            click.echo(str(path))
    elif records:
        Console(highlight=False).print(results(records))
        for path in paths:
            click.echo(f"record: {path}")


def _refuse_same_names(specs: list[TaskSpec]) -> None:
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two tasks have the name {twice[0]!r}", remedy="give one of the task files another name")


def _show_licences(specs: list[TaskSpec], say: Any, data_dir: str | None) -> None:
    from xqr_bench.data import pending_downloads

    for spec in specs:
        if spec.licence is not None and pending_downloads(spec, data_dir):
            say.print(f"downloading {spec.title}: licence {spec.licence.name} ({spec.licence.url})")


def _other_encoder(path: Any, encoder: BoundEncoder) -> str:
    """What to add when the record that exists is of another encoder under the same name."""
    from xqr_bench.errors import RecordError
    from xqr_bench.record import load_record

    try:
        there = load_record(path).model.identity
    except RecordError:
        return "; it cannot be read"
    now = encoder.identity.model_copy(update={"dimensions": there.dimensions})
    changed = [name for name, value in there if value != getattr(now, name)]
    return f"; note that it was made with another {', '.join(changed)}" if changed else ""
