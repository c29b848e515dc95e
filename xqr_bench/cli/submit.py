"""`xqr-bench submit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import click

from xqr_bench.cli.printing import echo
from xqr_bench.core.options import Option, Part, takes


@dataclass(frozen=True)
class Submission:
    """Where a record goes, and what is said of it: arguments of `xqr_bench.board.submissions.submit`.

    Attributes:
        leaderboard: The leaderboard folder.
        replace: Overwrite a submission of the same model, version and task.
        exposure: What the encoder may have seen of the task: 'evaluation text', 'same source', 'language only',
            'none declared', 'unknown', or a JSON file that says it (docs/exposure.md).
        exposure_note: In words: which data, and where that can be read.
    """

    leaderboard: Path = Path("leaderboard")
    replace: bool = False
    exposure: Annotated[str | None, Option(metavar="LEVEL|FILE")] = None
    exposure_note: Annotated[str | None, Option(metavar="TEXT")] = None


@click.command()
@click.argument("record", type=click.Path())
@takes(submission=Part(Submission))
def submit(record: str, submission: dict[str, Any]) -> None:
    """Check RECORD and copy it, with the ranks beside it, into the leaderboard folder.

    Form, data digests, ranks and every score are checked before anything is written. Local paths in the provenance
    are cut down to their last part. What is left to do is printed: a pull request.
    """
    from xqr_bench.board.submissions import submit as submit_record

    done = submit_record(record, **submission)
    echo(f"{'replaced' if done.replaced else 'submitted'}: {done.record}", err=True)
    echo(f"exposure: {done.exposure}", err=True)
    if done.attestation is not None:
        echo(f"with the attestation {done.attestation}", err=True)
    echo("open a pull request with it:", err=True)
    for command in done.commands:
        echo(command)
