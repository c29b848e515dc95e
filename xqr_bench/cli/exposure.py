"""`xqr-bench exposure`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import echo, echo_json, echo_tables
from xqr_bench.core.files import refuse_unwritable, write_text
from xqr_bench.core.options import Commas, Option, takes


@dataclass(frozen=True, kw_only=True)
class Searched(DataFolder):
    """What is looked for, where, and how it is shown.

    Attributes:
        task: Name of a task or path of a task file.
        data: Training data: .txt, .tsv, .jsonl, .json (also .gz), .parquet, or a folder; repeat for more.
        languages: Only look for texts in these, separated by commas.
        near: Share of 8-word runs that makes a near copy.
        examples: Of each kind of text.
        output: Also write it as JSON, for `submit --exposure FILE`.
        as_json: Print that JSON instead of tables.
    """

    task: str
    data: tuple[Path, ...]
    languages: Commas = None
    near: float = 0.5
    examples: int = 3
    output: Annotated[Path | None, Option(metavar="FILE")] = None
    as_json: Annotated[bool, Option("--json")] = False


@click.command()
@takes(asked=Searched)
def exposure(asked: Searched) -> None:
    """Look for the questions, sentences, paragraphs and titles of a task in training data.

    A text is found exactly where it stands there but for case, punctuation and spaces; nearly where at least half of
    its runs of 8 words do. Exit code 0 whether something is found or not.
    """
    from xqr_bench.cli.progress import LineProgress
    from xqr_bench.record.exposure_search import find_texts, read_texts
    from xqr_bench.report.listings import finding_tables
    from xqr_bench.tasks import load_task

    if asked.output is not None:
        refuse_unwritable(asked.output)
    task = load_task(asked.task, data_dir=asked.data_dir, languages=asked.languages, observe=LineProgress())
    findings = find_texts(task, read_texts(asked.data), near=asked.near)
    text = json.dumps(findings.to_json(asked.examples), ensure_ascii=False, indent=1) + "\n"
    if asked.as_json:
        echo_json(text, nl=False)
    else:
        echo_tables(finding_tables(findings, asked.examples))
        echo(f"level: {findings.level}" if findings.level else "no evaluation text was found in these files")
    if asked.output is not None:
        write_text(asked.output, text)
        echo(f"written: {asked.output}", err=True)
