"""`xqr-bench submit`."""

from __future__ import annotations

import click

from xqr_bench.board.asked import Submission
from xqr_bench.cli.leaderboard import Source
from xqr_bench.cli.printing import echo
from xqr_bench.core.options import Place, takes


@click.command()
@click.argument("record", type=Place())
@takes(source=Source, asked=Submission)
def submit(record: str, source: Source, asked: Submission) -> None:
    """Check RECORD and copy it, with the ranks and the best candidates beside it, into the leaderboard folder.

    Form, data digests, ranks and every score are checked before anything is written. Local paths in the provenance
    are cut down to their last part. What is left to do is printed: a pull request.
    """
    from xqr_bench.board.submissions import submit as submit_record

    done = submit_record(record, source.leaderboard, asked)
    done_to = "added best candidates to" if asked.top_only else "replaced" if done.replaced else "submitted"
    echo(f"{done_to}: {done.record}", err=True)
    echo(f"exposure: {done.exposure}", err=True)
    if done.attestation is not None:
        echo(f"with the attestation {done.attestation}", err=True)
    echo("open a pull request with it:", err=True)
    for command in done.commands:
        echo(command)
