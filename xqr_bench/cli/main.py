"""The entry point: commands are imported when they are used, errors become one clear message."""

from __future__ import annotations

import io
import sys
from importlib import import_module

import click

from xqr_bench import __version__
from xqr_bench.cli.printing import clean_python, echo
from xqr_bench.core.errors import XqrBenchError

# name -> (module, attribute, one line for --help); in the order --help shows them
COMMANDS: dict[str, tuple[str, str, str]] = {
    "evaluate": (
        "xqr_bench.cli.evaluate",
        "evaluate",
        "Score an encoder on one or more tasks; write records.",
    ),
    "baseline": (
        "xqr_bench.cli.baseline",
        "baseline",
        "Score a ranking without vectors, such as BM25; write records.",
    ),
    "recompute": (
        "xqr_bench.cli.recompute",
        "recompute",
        "Prove that a record's scores follow from its ranks.",
    ),
    "compare": (
        "xqr_bench.cli.compare",
        "compare",
        "Which differences between records are real, and how large.",
    ),
    "pools": (
        "xqr_bench.cli.pools",
        "pools",
        "What other pools of languages would have given, from a record's ranks.",
    ),
    "plot": ("xqr_bench.cli.plot", "plot", "Draw records: heat maps, bars by language, differences, bias."),
    "geometry": (
        "xqr_bench.cli.geometry",
        "geometry",
        "How an encoder's vectors lie: alignment, hubs, language in the vector.",
    ),
    "search": (
        "xqr_bench.cli.search",
        "search",
        "Ask a saved index a question; see the best candidates of all languages.",
    ),
    "reproduce": (
        "xqr_bench.cli.reproduce",
        "reproduce",
        "Run a record's encoder again and compare the ranks.",
    ),
    "submit": ("xqr_bench.cli.submit", "submit", "Put a record on the leaderboard."),
    "leaderboard": ("xqr_bench.cli.leaderboard", "leaderboard", "Verify or show the leaderboard, or build its site."),
    "export": ("xqr_bench.cli.export", "export", "Write records in other tools' formats: a model card."),
    "train": (
        "xqr_bench.cli.train",
        "train",
        "Train an encoder with a given ratio of monolingual to cross-lingual batches.",
    ),
    "sweep": ("xqr_bench.cli.sweep", "sweep", "Do the runs of the ratio study that a folder lacks."),
    "report": ("xqr_bench.cli.report", "report", "What a study found: page, plots, figures."),
    "tasks": ("xqr_bench.cli.tasks", "tasks", "List the tasks, or show one."),
    "languages": (
        "xqr_bench.cli.languages",
        "languages",
        "Scores by language beside how much text there is of each.",
    ),
    "encoders": ("xqr_bench.cli.encoders", "encoders", "List the kinds of encoder MODEL can name."),
    "metrics": (
        "xqr_bench.cli.metrics",
        "metrics",
        "List the metrics and bias measures with their definitions.",
    ),
    "data": ("xqr_bench.cli.data", "data", "Fetch, verify or list the data files of the tasks."),
    "exposure": ("xqr_bench.cli.exposure", "exposure", "Look for a task's texts in training data."),
    "cache": ("xqr_bench.cli.cache", "cache", "Look after the vectors that runs keep."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported only when one is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer a wrong name with the closest ones."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from xqr_bench.core.errors import UnknownNameError

            raise UnknownNameError("command", args[0], COMMANDS, remedy="xqr-bench --help lists the commands")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table's own lines, so that --help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First run, no download: xqr-bench evaluate char-ngrams",
)
@click.version_option(__version__, prog_name="xqr-bench")
def cli() -> None:
    """Measure how well a text encoder retrieves across languages.

    One encoding pass gives monolingual, cross-lingual and multilingual scores, language bias, and a record
    that anyone can recompute.
    """


def main() -> None:
    """Run the command line; every foreseen error is one message and exit code 1."""
    clean_python()
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        echo("stopped; nothing half-written was left", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        echo("stopped; nothing half-written was left", err=True)
        sys.exit(130)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        echo(told.getvalue(), err=True, nl=False)
        sys.exit(error.exit_code)
    except XqrBenchError as error:
        echo(f"error: {error}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
