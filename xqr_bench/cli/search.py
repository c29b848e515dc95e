"""`xqr-bench search`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import echo, echo_json
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.options import Option, Part, Place, takes
from xqr_bench.core.printable import ISOLATES, has_text
from xqr_bench.encode.options import EncoderOptions

if TYPE_CHECKING:
    from xqr_bench.rank.index_store import IndexSearcher


@dataclass(frozen=True)
class Answers:
    """Which answers are shown, and how.

    Attributes:
        interactive: Go on asking; an empty line ends.
        k: Candidates shown.
        languages: Only candidates of this language; repeat for more.
        full: Show long sentences whole, instead of three lines of each.
        as_json: Print the candidates as JSON, one list for each question.
    """

    interactive: bool = False
    k: Annotated[int, Option("-k")] = 10
    languages: tuple[str, ...] = ()
    full: bool = False
    as_json: Annotated[bool, Option("--json")] = False


@click.command()
@click.argument("folder", type=Place())
@click.argument("question", required=False)
@takes(
    where=DataFolder,
    options=Part(
        EncoderOptions,
        only=("trust_remote_code", "model_kwargs", "encoder_arg"),
        help={"model_kwargs": "Arguments for the model, in place of those in the index."},
    ),
    answers=Answers,
)
@click.option("--model", "encoder", help="The encoder, where the index was made by one that it cannot name.")
@click.option("--task", help="The task file, where the index was made from a task of somebody's own.")
def search(
    folder: str,
    question: str | None,
    where: DataFolder,
    options: dict[str, Any],
    answers: Answers,
    encoder: str | None,
    task: str | None,
) -> None:
    """Ask the index in FOLDER, as `evaluate --index TYPE --save-index FOLDER` saved it, a QUESTION in any language.

    The question is encoded by the encoder the index was made with; the texts are read from the data of the task.
    """
    if question is None and not answers.interactive:
        raise UsageError("there is no question", remedy='give one: xqr-bench search FOLDER "..." (or --interactive)')
    from xqr_bench.rank.index_store import IndexSearcher

    read = EncoderOptions(**options)
    with closing(IndexSearcher(folder, encoder=encoder, task=task, data_dir=where.data_dir, options=read)) as searcher:
        if not answers.as_json:
            manifest = searcher.manifest
            echo(f"{manifest.task.name}, {searcher.encoder.name}, index {manifest.facts.type}", err=True)
        if question is not None:
            _show(searcher, question, answers)
        for text in _questions() if answers.interactive else ():
            try:
                _show(searcher, text, answers)
            except XqrBenchError as error:  # the next question may be a better one
                echo(f"error: {error}", err=True)


def _questions() -> Iterator[str]:
    """Lines from standard input, until an empty one or the end."""
    while True:
        echo("question> ", nl=False)
        try:
            line = input()
        except EOFError:
            echo(err=True)
            return
        if not has_text(line):
            return
        yield line


def _show(searcher: IndexSearcher, question: str, answers: Answers) -> None:
    hits = searcher.search(question, answers.k, answers.languages or None)
    if answers.as_json:
        echo_json(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=1))
        return
    from xqr_bench.report.text import hits_lines

    for line in hits_lines(
        [(hit.rank, hit.score, hit.language, hit.id, hit.text) for hit in hits],
        score="approximate score" if searcher.manifest.facts.type == "ivfpq" else "score",
        width=shutil.get_terminal_size((100, 24)).columns,
        lines=None if answers.full else 3,
        isolate=sys.stdout.isatty(),
    ):
        echo(line, keep=ISOLATES)  # its own, around text that has none
