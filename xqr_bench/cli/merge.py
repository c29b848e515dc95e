"""`xqr-bench merge`."""

from __future__ import annotations

import click

from xqr_bench.cli.common import Session
from xqr_bench.cli.options import DataFolder, Records
from xqr_bench.core.options import Part, takes


@click.command
@click.argument("folder")
@takes(
    where=DataFolder,
    given=Part(
        Records,
        leave={"metrics", "no_relevance"},
        defaults=False,
        help={
            "tasks": "The tasks of the run, by name or path, where they are not found as the shards were given them.",
            "output": "Folder for the records: <output>/<model>/<task>.json.  [default: results]",
        },
    ),
)
def merge(folder: str, where: DataFolder, given: dict[str, object]) -> None:
    """Put the shards in FOLDER together, and write the records of a single run.

    FOLDER is what `xqr-bench evaluate MODEL --shard I/N --output FOLDER` was given: a folder, or a URL such as
    s3://bucket/folder. Neither the encoder nor its vectors are needed.
    """
    from xqr_bench.evaluation.merged import MergedRanker

    merged = MergedRanker(folder)
    asked = Records(**given)  # type: ignore[arg-type]
    session = Session(asked, merged.select(where.data_dir), merged.specs(given.get("tasks", ())))  # type: ignore[arg-type]
    session.evaluate(merged, merged.said["arguments"])
