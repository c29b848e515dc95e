"""`xqr-bench search`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from xqr_bench.cli.printing import echo, echo_json
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.printable import ISOLATES

if TYPE_CHECKING:
    from xqr_bench.rank.index_store import Found, IndexSearcher


@click.command(short_help="Ask a saved index a question; see the best candidates of all languages.")
@click.argument("folder", type=click.Path())
@click.argument("question", required=False)
@click.option("--interactive", is_flag=True, help="Go on asking; an empty line ends.")
@click.option("-k", "k", type=int, default=10, show_default=True, help="Candidates shown.")
@click.option("--language", "languages", multiple=True, help="Only candidates of this language; repeat for more.")
@click.option("--full", is_flag=True, help="Show long sentences whole, instead of three lines of each.")
@click.option("--model", help="The encoder, where the index was made by one that it cannot name.")
@click.option("--task", help="The task file, where the index was made from a task of somebody's own.")
@click.option(
    "--data-dir", type=click.Path(), help="Folder with the data files. Default: XQR_BENCH_DATA, else the cache."
)
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with a hub model.")
@click.option("--model-kwargs", metavar="JSON", help="Arguments for the model, in place of those in the index.")
@click.option("--json", "as_json", is_flag=True, help="Print the candidates as JSON, one list for each question.")
def search(
    folder: str,
    question: str | None,
    interactive: bool,
    k: int,
    languages: tuple[str, ...],
    full: bool,
    model: str | None,
    task: str | None,
    data_dir: str | None,
    trust_remote_code: bool,
    model_kwargs: str | None,
    as_json: bool,
) -> None:
    """Ask the index in FOLDER, as `evaluate --index TYPE --save-index FOLDER` saved it, a QUESTION in any language.

    The question is encoded by the encoder the index was made with; the texts are read from the data of the task.
    """
    if question is None and not interactive:
        raise UsageError("there is no question", remedy='give one: xqr-bench search FOLDER "..." (or --interactive)')
    from xqr_bench.cli.common import json_object
    from xqr_bench.rank.index_store import IndexSearcher

    searcher = IndexSearcher(
        folder,
        encoder=model,
        task=task,
        data_dir=data_dir,
        trust_remote_code=trust_remote_code,
        model_kwargs=json_object(model_kwargs),
    )
    try:
        show = _printer(searcher, full, as_json)
        if question is not None:
            show(searcher.search(question, k, languages or None))
        if interactive:
            _loop(lambda asked: show(searcher.search(asked, k, languages or None)))
    finally:
        searcher.close()


def _loop(answer: Callable[[str], None]) -> None:
    for asked in _questions():
        try:
            answer(asked)
        except XqrBenchError as error:  # the next question may be a better one
            echo(f"error: {error}", err=True)


def _questions() -> Iterator[str]:
    """Lines from standard input, until an empty one or the end."""
    while True:
        try:
            line = input("question> ")
        except EOFError:
            echo(err=True)
            return
        if not line.strip():
            return
        yield line


def _printer(searcher: IndexSearcher, full: bool, as_json: bool) -> Callable[[list[Found]], None]:
    if as_json:
        from dataclasses import asdict

        return lambda found: echo_json(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
    import shutil
    import sys

    from xqr_bench.report.listings import hits_lines

    facts = searcher.manifest.facts
    echo(f"{searcher.manifest.task.name}, {searcher.encoder.name}, index {facts.type}", err=True)
    width, terminal = shutil.get_terminal_size((100, 24)).columns, sys.stdout.isatty()

    def show(found: list[Found]) -> None:
        rows = [(one.rank, one.score, one.language, one.id, one.text) for one in found]
        heading = "approximate score" if facts.type == "ivfpq" else "score"
        for line in hits_lines(rows, score=heading, width=width, lines=None if full else 3, isolate=terminal):
            echo(line, keep=ISOLATES)  # its own, around text that has none

    return show
