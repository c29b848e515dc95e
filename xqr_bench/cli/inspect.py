"""`xqr-bench inspect`."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Option, Place, Sections, from_one, takes
from xqr_bench.core.printable import ISOLATES

if TYPE_CHECKING:
    from xqr_bench.analysis.questions import Questions
    from xqr_bench.record import Result


MOST_NAMED = 8
"""Records of a folder that an error lists."""


def _pair(text: str) -> tuple[str, str]:
    """Both languages of a pair.

    Raises:
        ValueError: it is none.
    """
    asked, arrow, answered = (part.strip() for part in text.partition(">"))
    if not (asked and arrow and answered):
        raise ValueError("write it as 'de>zh', in quotes: asked in German, answered in Chinese")
    return asked, answered


@dataclass(frozen=True)
class Asked:
    """Which questions are shown.

    Attributes:
        top: So many questions, the worst first.
        questions: The question of this id; repeat for more.
        by: What makes a question bad: the lowest map, ndcg@10 or other score of one ranking, or the highest
            rank_distance or max_rank.
        against: Another record of the same data: the questions that lose most against it.
        setting: monolingual, cross-lingual or multilingual (default).
        language: Only as asked in this language.
        pair: Only as asked in one language and answered in one.
        relevance: strict, lenient or judged (docs/relevance.md).

    Raises:
        UsageError: options that exclude each other.
    """

    top: Annotated[int, Option(parse=from_one)] = 5
    questions: tuple[str, ...] = ()
    by: Annotated[str, Option(metavar="METRIC")] = "map"
    against: Annotated[Path | None, Option(metavar="RECORD")] = None
    setting: str | None = None
    language: str | None = None
    pair: Annotated[tuple[str, str] | None, Option(metavar="'DE>ZH'", parse=_pair)] = None
    relevance: str = "strict"

    def __post_init__(self) -> None:
        if self.pair is not None and self.language is not None:
            raise UsageError("--pair and --language exclude each other", remedy="--pair names the query language too")

    def of(self, record: Result, *, task: str | None, where: DataFolder, ids: bool) -> Questions:
        """The questions of a record; with their texts unless only ids are asked for."""
        from xqr_bench.analysis.questions import Questions, texts_of
        from xqr_bench.record import load_record

        asked, answered = self.pair or (self.language, None)
        return Questions(
            record,
            None if ids else texts_of(record, task, data_dir=where.data_dir),
            metric=self.by,
            setting=self.setting,
            language=asked,
            candidates=answered,
            relevance=self.relevance,
            against=None if self.against is None else load_record(self.against, ranks=True),
        )


@dataclass(frozen=True)
class Shown:
    """How they are shown.

    Attributes:
        above: Of the 20 best candidates of a question show so many.
        html: Write a page with all languages of the questions instead of printing them.
        csv: Write the values of all queries in what is looked at, instead of printing questions.
        ids: Show ids without the texts of the task, which then need not be here.

    Raises:
        UsageError: more candidates are asked for than are kept.
    """

    above: int = 5
    html: Annotated[Path | None, Option(metavar="FILE")] = None
    csv: Annotated[Path | None, Option(metavar="FILE")] = None
    ids: bool = False

    def __post_init__(self) -> None:
        from xqr_bench.core.types import N_HITS

        if not 0 <= self.above <= N_HITS:
            raise UsageError(
                f"--above is {self.above}", remedy=f"give 0 to {N_HITS}: so many candidates are kept of each question"
            )


@click.command(cls=Sections)
@click.argument("record", type=Place(path_type=Path))
@takes(asked=Asked, shown=Shown, where=DataFolder)
@click.option("--task", type=Place(), metavar="FILE", help="The task file, where the task is one of your own.")
def inspect(record: Path, asked: Asked, shown: Shown, where: DataFolder, task: str | None) -> None:
    """Show the questions that RECORD answers worst, and what stood above the sentences that answer them.

    A folder stands for the record below it, where there is one.

    Each question in its languages with their values; of the worst of these languages the ranks of all relevant
    sentences, and the best candidates. Ranks and values are the record's own; texts are read from the data of the
    task, which has to be the data that the record was made from.
    """
    from xqr_bench.core.files import write_text
    from xqr_bench.record import load_record, record_files

    files = record_files([record])
    if len(files) > 1:
        raise UsageError(
            f"{record} holds {len(files)} records, and one is inspected",
            found=", ".join(map(str, files[:MOST_NAMED]))
            + f" and {len(files) - MOST_NAMED} more" * (len(files) > MOST_NAMED),
            remedy=f"name one of them: xqr-bench inspect {shlex.quote(str(files[0]))}",
        )
    loaded = load_record(files[0], ranks=True)
    only_values = shown.csv is not None and shown.html is None
    questions = asked.of(loaded, task=task, where=where, ids=shown.ids or only_values)
    if shown.csv is not None:
        write_text(shown.csv, questions.frame(asked.questions).to_csv(index=False, lineterminator="\n"))
        echo(f"values: {shown.csv}", err=True)
    if only_values:
        return
    views = [questions.view(one) for one in asked.questions or questions.worst(asked.top)]
    command = None
    if questions.why_no_hits is not None:
        from xqr_bench.board.row import reproduce_command

        command = reproduce_command(loaded).command
        if not command.startswith("xqr-bench sweep "):  # which does what is not there
            command += " --overwrite"
    named = bool(asked.questions)
    if shown.html is not None:
        from xqr_bench.report.questions_page import questions_page

        write_text(shown.html, questions_page(questions, views, command=command, named=named))
        echo(f"page: {shown.html}", err=True)
        return
    from xqr_bench.report.questions import question_lines

    for line in question_lines(
        questions,
        views,
        above=shown.above,
        width=shutil.get_terminal_size((100, 24)).columns,
        isolate=sys.stdout.isatty(),
        command=command,
        named=named,
    ):
        echo(line, keep=ISOLATES)  # its own, around text that has none
