"""`xqr-bench export`."""

from __future__ import annotations

import click

from xqr_bench.cli.printing import echo
from xqr_bench.core.options import Place, split


@click.group()
def export() -> None:
    """Write records in other tools' formats."""


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
