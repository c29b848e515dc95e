"""`xqr-bench exposure`."""

from __future__ import annotations

import click

from xqr_bench.cli.common import split, table_console
from xqr_bench.cli.printing import echo, echo_json


@click.command(short_help="Look for a task's texts in training data.")
@click.option("--task", required=True, help="Name of a task or path of a task file.")
@click.option(
    "--data",
    "files",
    multiple=True,
    required=True,
    type=click.Path(),
    help="Training data: .txt, .tsv, .jsonl, .json (also .gz), .parquet, or a folder; repeat for more.",
)
@click.option("--data-dir", type=click.Path(), help="Folder with the data files of the task.")
@click.option("--languages", help="Only look for texts in these, separated by commas.")
@click.option("--near", type=float, default=0.5, show_default=True, help="Share of 8-word runs that makes a near copy.")
@click.option("--examples", type=int, default=3, show_default=True, help="Of each kind of text.")
@click.option(
    "--output", type=click.Path(), metavar="FILE", help="Also write it as JSON, for `submit --exposure FILE`."
)
@click.option("--json", "as_json", is_flag=True, help="Print that JSON instead of tables.")
def exposure(
    task: str,
    files: tuple[str, ...],
    data_dir: str | None,
    languages: str | None,
    near: float,
    examples: int,
    output: str | None,
    as_json: bool,
) -> None:
    """Look for the questions, sentences, paragraphs and titles of a task in training data.

    A text is found exactly where it stands there but for case, punctuation and spaces; nearly where at least half of
    its runs of 8 words do. Exit code 0 whether something is found or not.
    """
    import json
    from pathlib import Path

    from xqr_bench.core.files import write_text
    from xqr_bench.record.exposure_search import find_texts, read_texts
    from xqr_bench.report.listings import finding_tables
    from xqr_bench.tasks import load_task

    data = load_task(task, data_dir=data_dir, languages=split(languages))
    found = find_texts(data, read_texts([Path(name) for name in files]), near=near)
    text = json.dumps(found.to_json(examples), ensure_ascii=False, indent=1) + "\n"
    if as_json:
        echo_json(text, nl=False)
    else:
        console = table_console()
        for table in finding_tables(found, examples):
            console.print(*table.rich(), sep="\n")
        echo(f"level: {found.level}" if found.level else "no evaluation text was found in these files")
    if output is not None:
        write_text(Path(output), text)
        echo(f"written: {output}", err=True)
