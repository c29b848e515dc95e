"""The entry point: commands are imported when they are used, errors become one clear message."""

from __future__ import annotations

import errno
import io
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from xqr_bench import __version__
from xqr_bench.cli.printing import clean_python, echo, let_go, only_ours
from xqr_bench.core.errors import UnknownNameError, XqrBenchError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: dict[str, str] = {
    "evaluate": "Score an encoder on one or more tasks; write records.",
    "merge": "Put the shards of an evaluation together; write its records.",
    "run": "Make the records of a file of models, tasks and variants.",
    "baseline": "Score a ranking without vectors, such as BM25; write records.",
    "show": "Print records again: one screen, several side by side, or for papers.",
    "recompute": "Prove that a record's scores follow from its ranks.",
    "compare": "Which differences between records are real, and how large.",
    "inspect": "Which questions fail, and what stood above the right answers.",
    "pools": "What other pools of languages would have given, from a record's ranks.",
    "remedies": "What transforms and further trainings buy and cost: bias against MAP.",
    "plot": "Draw records: heat maps, bars by language, differences, bias.",
    "geometry": "How an encoder's vectors lie: alignment, hubs, language in the vector.",
    "search": "Ask a saved index a question; see the best candidates of all languages.",
    "reproduce": "Run a record's encoder again and compare the ranks.",
    "submit": "Put a record on the leaderboard.",
    "leaderboard": "Verify or show the leaderboard, or build its site.",
    "export": "Write records and tasks in other tools' formats: a model card, BEIR, mteb.",
    "train": "Train an encoder with a given ratio of monolingual to cross-lingual batches.",
    "sweep": "Do the runs of the ratio study that a folder lacks.",
    "report": "What a study found: page, plots, figures.",
    "tasks": "List the tasks, show one, or check your own.",
    "languages": "Scores by language beside how much text there is of each.",
    "encoders": "List the kinds of encoder MODEL can name, or check one.",
    "metrics": "List the metrics and bias measures with their definitions.",
    "data": "Fetch, verify or list the data files of the tasks.",
    "exposure": "Look for a task's texts in training data.",
    "cache": "Look after the vectors that runs keep.",
}
"""Name -> one line for --help, in its order; `name` is the command of that name in `xqr_bench.cli.name`."""

CLOSED_PIPE = 141
"""Exit code where nobody reads what is printed, as of a program that SIGPIPE ends: 128 + 13."""
TRACEBACK = "--traceback"
WHOLE = "Print where an error arose, whole."


def _prepared(command: click.Command) -> click.Command:
    """Add what all commands have, and those below them: --traceback, which `main` looks for, and a clean output."""
    if not any(TRACEBACK in parameter.opts for parameter in command.params):
        command.params.append(click.Option([TRACEBACK], is_flag=True, expose_value=False, hidden=True, help=WHOLE))
        if command.callback is not None:
            command.callback = only_ours()(command.callback)
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _prepared(below)
    return command


class LazyGroup(click.Group):
    """A group whose commands are imported only when one is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"xqr_bench.cli.{cmd_name}"), cmd_name)
        return _prepared(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer a wrong name with the closest ones."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise UnknownNameError("command", args[0], COMMANDS, remedy="xqr-bench --help lists the commands")
        return super().resolve_command(ctx, args)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the arguments; click would begin with an empty line where it is stopped."""
        try:
            return super().make_context(*arguments, **more)
        except KeyboardInterrupt as stop:
            raise _aborted(stop) from stop

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, as `make_context`; a closed pipe ends it without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _aborted(stop) from stop
        except BrokenPipeError:  # `| head` has read enough; click would end with 1
            _end("", CLOSED_PIPE)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the table, and options; click would import every command."""
        from click.shell_completion import CompletionItem

        named = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table's own lines, so that --help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First run, no download: xqr-bench evaluate char-ngrams",
)
@click.version_option(__version__, prog_name="xqr-bench")
@click.option(TRACEBACK, is_flag=True, expose_value=False, help=WHOLE)
def cli() -> None:
    """Measure how well a text encoder retrieves across languages.

    One encoding pass gives monolingual, cross-lingual and multilingual scores, language bias, and a record
    that anyone can recompute.
    """


def _aborted(stop: KeyboardInterrupt) -> click.exceptions.Abort:
    abort = click.exceptions.Abort()
    for note in getattr(stop, "__notes__", []):
        abort.add_note(note)
    return abort


def _of_the_machine(error: OSError) -> XqrBenchError:
    """A name too long, a disk that fails, what may not be read: wherever a path of the command line is first used."""
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return XqrBenchError(f"what is printed cannot be written: {error.strerror}")
    return XqrBenchError(
        f"{error.filename or 'a file'} cannot be used: {error.strerror or error}",
        remedy="give a shorter name"
        if error.errno == errno.ENAMETOOLONG
        else "name a file or folder that can be read and written",
    )


def main() -> None:
    """Run the command line; every foreseen error is one message and exit code 1, Ctrl-C one line and exit code 130."""
    try:
        clean_python()
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        _end("; ".join(["stopped", *getattr(stop, "__notes__", ["nothing half-written was left"])]) + "\n", 130)
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)
        _end(message.getvalue(), error.exit_code)
    except (XqrBenchError, OSError) as error:
        whole = "".join(traceback.format_exception(error)) if TRACEBACK in sys.argv else ""
        _end(f"{whole}error: {_of_the_machine(error) if isinstance(error, OSError) else error}\n", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _end(message: str, code: int) -> NoReturn:
    """Print a last message, where that can be done, and exit."""
    with suppress(OSError):
        echo(message, err=True, nl=False)
    let_go()
    sys.exit(code)
