"""`xqr-bench reproduce`."""

from __future__ import annotations

import click

from xqr_bench.cli.printing import echo


@click.command(short_help="Run a record's encoder again and compare the ranks.")
@click.argument("record", type=click.Path())
@click.option("--model", help="What to run, where it is not at hand under the record's own MODEL.")
@click.option("--task", metavar="FILE", help="The task file, where the record is of a task of somebody's own.")
@click.option(
    "--tolerance", type=float, help="Greatest difference of a macro score.  [default: 0.001, the leaderboard's]"
)
@click.option(
    "--rank-tolerance",
    type=float,
    help="Greatest share of relevants that moved by more than 1 + 1% of their rank.  [default: 0.01]",
)
@click.option(
    "--data-dir", type=click.Path(), help="Folder with the data files. Default: XQR_BENCH_DATA, or the cache."
)
@click.option(
    "--transform-from",
    type=click.Path(),
    metavar="DIR",
    help="The translated sentences a transform was estimated on, where they are elsewhere now.",
)
@click.option("--device", help="Such as cpu, cuda, cuda:1, mps. Default: the best there is.")
@click.option("--batch-size", type=int, help="Texts encoded together.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with a hub model.")
@click.option("--model-kwargs", metavar="JSON", help="Arguments for the model, in place of those in the record.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the attestation.")
def reproduce(
    record: str,
    model: str | None,
    task: str | None,
    tolerance: float | None,
    rank_tolerance: float | None,
    data_dir: str | None,
    transform_from: str | None,
    device: str | None,
    batch_size: int | None,
    trust_remote_code: bool,
    model_kwargs: str | None,
    quiet: bool,
) -> None:
    """Run the encoder of RECORD again with the record's arguments, and compare the ranks with the stored ones.

    Within the leaderboard's tolerance an attestation is written beside the record: <task>.reproduced.json. Exit code
    0 when the tolerance was kept, 1 when it was not.

    What RECORD says never decides which code runs: Python code, a task file, code that comes with a model and
    arguments for the model are used only where you name them.
    """
    from xqr_bench.board.reproduce import reproduce as run_again
    from xqr_bench.board.submissions import MOVED_SHARE, SCORE_DIFFERENCE, Tolerance
    from xqr_bench.cli.common import json_object
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.core.errors import UsageError
    from xqr_bench.encode import EncoderOptions

    for name, value in (("--tolerance", tolerance), ("--rank-tolerance", rank_tolerance)):
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{name} cannot be {value}", remedy="use a number from 0 to 1")
    allowed = Tolerance(
        moved_share=MOVED_SHARE if rank_tolerance is None else rank_tolerance,
        score_difference=SCORE_DIFFERENCE if tolerance is None else tolerance,
    )
    options = EncoderOptions(
        device=device,
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
        model_kwargs=json_object(model_kwargs),
    )
    with RunProgress(quiet=quiet) as observe:
        done = run_again(
            record,
            model=model,
            tolerance=allowed,
            options=options,
            task=task,
            data_dir=data_dir,
            transform_from=transform_from,
            observe=observe,
        )
    found = done.attestation.found
    if not quiet:
        echo(f"{found.identical:,} of {found.relevants:,} relevants have the same counts")
        echo(
            f"{found.moved:,} ({found.moved_share:.2%}; allowed {allowed.moved_share:.2%}) moved by more than "
            "1 + 1% of their rank"
        )
        echo(
            f"greatest difference of a macro score: {found.max_score_difference:.2g} ({found.largest}; allowed "
            f"{allowed.score_difference:g})"
        )
        for name, (there, now) in done.attestation.identity_differences.items():
            echo(f"identity: {name} was {there}, is {now}")
    if not done.within:
        echo(f"{record}: not reproduced within the tolerance")
        raise SystemExit(1)
    if done.written is None:
        echo("within the tolerance, which is wider than the leaderboard's: no attestation was written")
    else:
        echo(str(done.written) if quiet else f"reproduced: {done.written}")
