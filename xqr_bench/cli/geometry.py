"""`xqr-bench geometry`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from xqr_bench.cli.options import Form, Store, Tasks, Transform, backend_option
from xqr_bench.cli.printing import echo, echo_json, echo_tables
from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import refuse_unwritable, write_text
from xqr_bench.core.options import Option, Sections, takes
from xqr_bench.encode import EncoderOptions
from xqr_bench.tasks import Selection


@dataclass(frozen=True, kw_only=True)
class Measured(Store, Transform, Form, Tasks):
    """What is measured, and how it is shown.

    Attributes:
        allow_zero_vectors: Leave zero vectors aside instead of refusing them.
        output: Also write the JSON there.
        quiet: Show no progress.
    """

    allow_zero_vectors: bool = False
    output: Annotated[Path | None, Option(metavar="FILE")] = None
    quiet: bool = False


FIRST = [
    "--task",
    "--transform",
    "--query-prompt",
    "--candidate-prompt",
    "--device",
    "--batch-size",
    "--name",
    "--limit",
    "--output",
    "--markdown",
]
"""What most users need first."""


@click.command(cls=Sections, first=FIRST)
@click.argument("model")
@takes(asked=Measured, select=Selection, options=EncoderOptions)
@backend_option
def geometry(model: str, asked: Measured, select: Selection, options: EncoderOptions) -> None:
    """Measure how the vectors of the encoder MODEL lie: what explains the figures of bias.

    Alignment and uniformity of translated queries, isotropy, hubs, and whether a linear probe can read the language
    off a vector. With --transform, before and after. MODEL is as for `xqr-bench evaluate`; no record is written.
    """
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.encode import load_encoder
    from xqr_bench.evaluation.ranker import RANKERS
    from xqr_bench.measure.geometry import geometry_of_tasks
    from xqr_bench.report.listings import geometry_json, geometry_tables

    if model.partition(":")[0] in RANKERS:
        raise UsageError(
            f"{model} is a ranking without vectors, whose geometry could be measured",
            remedy="name an encoder: `xqr-bench encoders` lists what it can be",
        )
    if asked.output is not None:
        refuse_unwritable(asked.output)
    transform, store, specs = asked.chosen_transform(), asked.chosen_store(), asked.specs()
    with closing(load_encoder(model, options)) as encoder, RunProgress(quiet=asked.quiet) as observe:
        tasks = geometry_of_tasks(
            encoder,
            specs,
            transform=transform,
            select=select,
            allow_zero_vectors=asked.allow_zero_vectors,
            store=store,
            observe=observe,
        )
    if asked.as_json:
        echo_json(geometry_json(tasks))
    else:
        echo_tables([table for task in tasks for table in geometry_tables(task)], markdown=asked.as_markdown)
    if asked.output is not None:
        write_text(asked.output, geometry_json(tasks) + "\n")
        echo(f"geometry: {asked.output}", err=True)
