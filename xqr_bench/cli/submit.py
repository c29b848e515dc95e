"""`xqr-bench submit`."""

from __future__ import annotations

import click

from xqr_bench.cli.printing import echo


@click.command(short_help="Put a record on the leaderboard.")
@click.argument("record", type=click.Path())
@click.option(
    "--leaderboard", type=click.Path(), default="leaderboard", show_default=True, help="The leaderboard folder."
)
@click.option("--replace", is_flag=True, help="Overwrite a submission of the same model, version and task.")
@click.option(
    "--exposure",
    metavar="LEVEL|FILE",
    help="What the encoder may have seen of the task: 'evaluation text', 'same source', 'language only', "
    "'none declared', 'unknown', or a JSON file that says it (docs/exposure.md).",
)
@click.option("--exposure-note", metavar="TEXT", help="In words: which data, and where that can be read.")
def submit(record: str, leaderboard: str, replace: bool, exposure: str | None, exposure_note: str | None) -> None:
    """Check RECORD and copy it, with the ranks beside it, into the leaderboard folder.

    Form, data digests, ranks and every score are checked before anything is written. Local paths in the provenance
    are cut down to their last part. What is left to do is printed: a pull request.
    """
    from xqr_bench.board.submissions import submit as submit_record

    done = submit_record(record, leaderboard, replace=replace, exposure=exposure, exposure_note=exposure_note)
    echo(f"{'replaced' if done.replaced else 'submitted'}: {done.record}", err=True)
    echo(f"exposure: {done.exposure}", err=True)
    if done.attestation is not None:
        echo(f"with the attestation {done.attestation}", err=True)
    echo("open a pull request with it:", err=True)
    for command in done.commands:
        echo(command)
