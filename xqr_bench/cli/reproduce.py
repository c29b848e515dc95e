"""`xqr-bench reproduce`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from xqr_bench.board.asked import Rerun, Witness
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Part, Place, Sections, flag, takes
from xqr_bench.encode.options import EncoderOptions


@dataclass(frozen=True)
class Allowed:
    """How far the ranks may differ; default: the leaderboard's tolerance.

    Attributes:
        tolerance: Greatest difference of a macro score.  [default: 0.001, the leaderboard's]
        rank_tolerance: Greatest share of relevants that moved by more than 1 + 1% of their rank.  [default: 0.01]

    Raises:
        UsageError: one is no share.
    """

    tolerance: float | None = None
    rank_tolerance: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{flag(name)} cannot be {value}", remedy="use a number from 0 to 1")


@click.command(cls=Sections)
@click.argument("records", metavar="RECORD...", nargs=-1, required=True, type=Place())
@takes(
    again=Rerun,
    witness=Witness,
    allowed=Allowed,
    encoder=Part(
        EncoderOptions,
        only=("device", "batch_size", "trust_remote_code", "model_kwargs", "encoder_arg"),
        help={"model_kwargs": "Arguments for the model, in place of those in the record."},
    ),
)
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the attestation.")
def reproduce(
    records: tuple[str, ...], again: Rerun, witness: Witness, allowed: Allowed, encoder: dict[str, Any], quiet: bool
) -> None:
    """Run the encoder of RECORD again with the record's arguments, and compare the ranks with the stored ones.

    Of several RECORDs each distinct text is encoded once by each encoder, in this run: what transforms change, and the
    tasks of one encoder, need not be encoded again.

    Within the leaderboard's tolerance, and with --by NAME, an attestation is written beside the record:
    <task>.reproduced.json says who ran which encoder when, and covers the whole record by a digest. Exit code 0 when
    the tolerance was kept, 1 when it was not.

    What RECORD says never decides which code runs: Python code, a task file, code that comes with a model and
    arguments for the model are used only where you name them.
    """
    from xqr_bench.board.attestation import MOVED_SHARE, SCORE_DIFFERENCE, Tolerance
    from xqr_bench.board.reproduce import reproduce as run_again
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.encode import VectorStore

    tolerance = Tolerance(
        moved_share=MOVED_SHARE if allowed.rank_tolerance is None else allowed.rank_tolerance,
        score_difference=SCORE_DIFFERENCE if allowed.tolerance is None else allowed.tolerance,
    )
    options = EncoderOptions(**encoder)
    if witness.by is None and not quiet:
        echo("the ranks are compared; --by NAME attests it too", err=True)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="xqr-bench-") as folder:
        for record in records:
            if len(records) > 1 and not quiet:
                echo(record)
            with RunProgress(quiet=quiet) as observe:
                done = run_again(
                    record,
                    tolerance=tolerance,
                    options=options,
                    again=again,
                    witness=witness,
                    store=VectorStore(Path(folder)),
                    observe=observe,
                )
            if not quiet:
                echo("\n".join(done.summary()))
            if not done.within:
                echo(f"{record}: {done.why_not}")
                missed += 1
            elif done.written is None:
                echo(f"{done.why_not}: no attestation was written")
            else:
                signed = "unsigned" if witness.sign is None else "signed"
                echo(str(done.written) if quiet else f"reproduced: {done.written} ({signed})")
    if missed:
        raise SystemExit(1)
