"""`xqr-bench export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError
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


@export.command("mteb", short_help="Records as results of mteb.")
@click.argument("records", nargs=-1, required=True, type=Place())
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", metavar="ORG/NAME", help="Of the model in mteb, instead of the record's.")
@click.option(
    "--predictions",
    "runs",
    metavar="RUNS",
    type=click.Path(path_type=Path),
    help="Write the predictions too, from the TREC runs that `evaluate --trec-run RUNS` wrote of the record.",
)
@click.option("--task", metavar="FILE", help="The task of the predictions, where the record's is a task file of yours.")
@takes(where=DataFolder)
def mteb(
    records: tuple[str, ...],
    folder: Path,
    name: str | None,
    runs: Path | None,
    task: str | None,
    where: DataFolder,
) -> None:
    """Write RECORD... as mteb writes its results: FOLDER/results/ORG__NAME/REVISION/TASK.json, one a setting of a task.

    mteb.ResultCache(FOLDER) reads them (needs xqr-bench[mteb]). Figures are means over orders of tied candidates, where
    mteb has those of one order; its nAUC, which needs scores, is absent.
    """
    from xqr_bench.cli.progress import LineProgress
    from xqr_bench.evaluation.ranker import Task
    from xqr_bench.record import load_record
    from xqr_bench.report.mteb_results import write_predictions, write_results
    from xqr_bench.tasks import load_spec, load_task

    if task is not None and runs is None:
        raise UsageError("--task is given without --predictions", remedy="leave it out, or name the runs")
    loaded = [load_record(path, ranks=True) for path in records]
    for path in write_results(loaded, folder, name=name):
        echo(f"wrote {path}")
    for record in loaded if runs is not None else ():
        spec, observe = load_spec(task or record.task.name), LineProgress()
        if spec.name != record.task.name:
            raise UsageError(f"the record is of {record.task.name}, not of {spec.name}", remedy="give another --task")
        data = load_task(spec, data_dir=where.data_dir, observe=observe)
        of_record = Task(spec, replace(data, relevance=()))
        for path in write_predictions(record, of_record, Path(str(runs)), folder / "predictions", observe, name=name):
            echo(f"wrote {path}")


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
