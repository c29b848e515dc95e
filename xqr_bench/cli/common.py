"""What the commands that make records share: options, which tasks are to do, saving and printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.printing import console, echo, echo_json, table_console
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from xqr_bench.encode import ModelIdentity
    from xqr_bench.record import Record
    from xqr_bench.tasks import Selection, TaskSpec


def limit_option(help_text: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Add --limit; a number below 1 is refused before anything is loaded."""

    def checked(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise UsageError(f"--limit cannot be {value}", remedy="use a number from 1 on")
        return value

    return click.option("--limit", type=int, callback=checked, help=help_text)


def task_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say what to score and where records go."""
    options = [
        click.option(
            "--task",
            "tasks",
            multiple=True,
            default=("mini",),
            show_default=True,
            help="Name of a task or path of a task file; repeat for more.",
        ),
        click.option(
            "--data-dir",
            type=click.Path(),
            help="Folder with the data files (<folder>/xquad-r/en.json). Default: XQR_BENCH_DATA, else the cache.",
        ),
        click.option(
            "--output",
            type=click.Path(),
            default="results",
            show_default=True,
            help="Folder for the records: <output>/<model>/<task>.json.",
        ),
        click.option("--overwrite", is_flag=True, help="Evaluate again where a record exists."),
        click.option("--languages", help="Only these, separated by commas (to try out; such a record is marked)."),
        limit_option("Only the first so many questions (to try out; marked)."),
        click.option("--metrics", help="Compute these, separated by commas, instead of the metrics of the task."),
        click.option("--no-relevance", is_flag=True, help="Strict relevance only (docs/relevance.md): smaller files."),
        click.option("--quiet", is_flag=True, help="Print nothing but the paths of the records."),
        click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON list."),
    ]
    return _added(options, command)


def trec_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that write TREC runs."""
    options = [
        click.option(
            "--trec-run",
            type=click.Path(file_okay=False),
            metavar="DIR",
            help="Also write TREC runs and qrels: DIR/<task>/<setting>.run.gz; the size is told before.",
        ),
        click.option("--trec-depth", type=int, default=1000, show_default=True, help="Candidates a list."),
        click.option(
            "--trec-settings", help="Only these, separated by commas: monolingual, cross-lingual, multilingual."
        ),
    ]
    return _added(options, command)


def _added(options: Sequence[Callable[[Any], Any]], command: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(options):
        command = option(command)
    return command


def given(ctx: click.Context) -> dict[str, Any]:
    """The arguments the user gave, without defaults."""
    commandline = click.core.ParameterSource.COMMANDLINE
    return {name: value for name, value in ctx.params.items() if ctx.get_parameter_source(name) == commandline}


def split(text: str | None) -> list[str] | None:
    """The parts of a list separated by commas; None when it was not given."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def json_object(text: str | None) -> dict[str, Any]:
    """What was given with --model-kwargs; empty when it was not given.

    Raises:
        UsageError: it is no JSON object.
    """
    from xqr_bench.core import strict_json

    try:
        found = {} if text is None else strict_json.parse(text)
    except ValueError as error:
        raise UsageError(f"--model-kwargs is not JSON: {error}", remedy="""write it as '{"key": 1}'""") from None
    if not isinstance(found, dict):
        raise UsageError("--model-kwargs is not a JSON object", remedy="""write it as '{"key": 1}'""")
    return found


class Session:
    """One run of a command that makes records.

    Args:
        options: the values of `task_options`.

    Raises:
        UsageError: options that contradict each other.
        XqrBenchError: a task that cannot be found or read.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        from xqr_bench.tasks import resolve_task

        self._options = options
        self.quiet: bool = options["quiet"]
        if self.quiet and options["as_json"]:
            raise UsageError("--quiet and --json exclude each other", remedy="give one of them")
        self.specs = [resolve_task(task) for task in dict.fromkeys(options["tasks"])]
        if options["no_relevance"]:
            self.specs = [spec.model_copy(update={"relevance": ()}) for spec in self.specs]
        _refuse_same_names(self.specs)
        self.output = Path(options["output"])

    @cached_property
    def _console(self) -> Console:
        return console(err=True, quiet=self.quiet)

    def say(self, line: str) -> None:
        """Print a line on standard error, unless --quiet."""
        self._console.print(line, soft_wrap=True)

    @property
    def select(self) -> Selection:
        """Which part of the tasks is scored."""
        from xqr_bench.tasks import Selection

        return Selection(split(self._options["languages"]), self._options["limit"], self._options["data_dir"])

    @property
    def metrics(self) -> list[str] | None:
        """The metrics that were chosen."""
        return split(self._options["metrics"])

    def todo(self, name: str, identity: ModelIdentity) -> list[TaskSpec]:
        """The tasks that have no record yet (with --overwrite: all); tells of the others.

        Args:
            name: of the records.
            identity: of what is scored now.
        """
        from xqr_bench.record import record_path

        result = []
        for spec in self.specs:
            path = record_path(self.output, name, spec.name)
            if path.exists() and not self._options["overwrite"]:
                note = _other_model(path, identity)
                no_run = "; no run of it is written" if self._options.get("trec_run") else ""
                self.say(f"{path} exists already: skipped (--overwrite evaluates again){note}{no_run}")
            else:
                result.append(spec)
        self.show_licences(result)
        return result

    def show_licences(self, specs: Sequence[TaskSpec]) -> None:
        """Tell the licence of what is about to be downloaded."""
        from xqr_bench.tasks import pending_downloads

        for spec in specs:
            if spec.licence is not None and pending_downloads(spec, self._options["data_dir"]):
                self.say(f"downloading {spec.title}: licence {spec.licence.name} ({spec.licence.url})")

    def finish(self, name: str, records: Sequence[Record]) -> None:
        """Save the records, and print them as the options say."""
        from xqr_bench.record import record_path, save_record, to_json

        paths = [save_record(record, record_path(self.output, name, record.task.name)) for record in records]
        if self._options["as_json"]:
            echo_json("[" + ",\n".join(to_json(record) for record in records) + "]")
        elif self.quiet:
            for path in paths:
                echo(str(path))
        elif records:
            from xqr_bench.report.results import results

            table_console().print(results(records))
            for path in paths:
                echo(f"record: {path}")


def _refuse_same_names(specs: Sequence[TaskSpec]) -> None:
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two tasks have the name {twice[0]!r}", remedy="give one of the task files another name")


def _other_model(path: Path, identity: ModelIdentity) -> str:
    """What to add when the record that exists is of something else under the same name."""
    from xqr_bench.core.errors import RecordError
    from xqr_bench.record import load_record

    try:
        there = load_record(path).model.identity
    except RecordError:
        return "; it cannot be read"
    now = identity.model_copy(update={"dimensions": there.dimensions})
    changed = [name for name, value in there if value != getattr(now, name)]
    return f"; note that it was made with another {', '.join(changed)}" if changed else ""


def beside_package(path: Path) -> Path:
    """A file of the repository: in the checkout that the package stands in, else below the working folder."""
    import xqr_bench

    beside = Path(xqr_bench.__file__).resolve().parent.parent / path
    return beside if beside.is_file() else path
