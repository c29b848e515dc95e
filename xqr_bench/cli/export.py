"""`xqr-bench export`."""

from __future__ import annotations

from pathlib import Path

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import echo
from xqr_bench.core.options import Place, split, takes


@click.group()
def export() -> None:
    """Write records and tasks in other tools' formats."""


@export.command("model-card", short_help="The model-index metadata of a Hugging Face model card.")
@click.argument("records", nargs=-1, required=True, type=Place())
@click.option("--metrics", help="Only these, separated by commas.  [default: all scores, and rank_distance]")
def model_card(records: tuple[str, ...], metrics: str | None) -> None:
    """Print the front matter of a model card: the macro averages of RECORD..., of one model, one record a task.

    Put it at the top of the README.md of the model's repository, or merge it into what stands there.
    """
    from xqr_bench.record import load_record
    from xqr_bench.report.model_card import model_card as card

    echo(card([load_record(path) for path in records], metrics=None if metrics is None else split(metrics)), nl=False)


@export.command("beir", short_help="A task's whole pool as a BEIR data set.")
@click.argument("task")
@click.argument("folder", type=click.Path(path_type=Path))
@takes(where=DataFolder)
def beir(task: str, folder: Path, where: DataFolder) -> None:
    """Write the queries, candidates and judgements of TASK into FOLDER as one BEIR data set, every language in it.

    The task file beside them reads them back: xqr-bench evaluate MODEL --task FOLDER/TASK-beir.toml
    """
    from xqr_bench.cli.progress import LineProgress
    from xqr_bench.tasks import load_spec, load_task
    from xqr_bench.tasks.export import write_beir

    spec = load_spec(task)
    for path in write_beir(spec, load_task(spec, data_dir=where.data_dir, observe=LineProgress()), folder):
        echo(f"wrote {path}")
