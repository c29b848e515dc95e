"""`xqr-bench recompute`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xqr_bench.cli.printing import echo

if TYPE_CHECKING:
    from xqr_bench.record import Record


@click.command(short_help="Prove that a record's scores follow from its ranks.")
@click.argument("record", type=click.Path())
@click.option("--write", is_flag=True, help="Write the recomputed scores into the record.")
@click.option("--with", "peer", type=click.Choice(["pytrec_eval"]), help="Have rebuilt rankings scored by it too.")
@click.option("--sample", type=int, default=500, show_default=True, help="Lists it scores a setting; 0: all of them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the drawing of those lists.")
def recompute(record: str, write: bool, peer: str | None, sample: int, seed: int) -> None:
    """Compute every score of RECORD anew from the ranks beside it.

    --with pytrec_eval also rebuilds rankings from the ranks, placeholders between the relevants, in the best and the
    worst order of ties, and shows what pytrec_eval makes of them beside our figures.

    Exit code 0 when all figures agree, 1 when one does not.
    """
    from pathlib import Path

    from xqr_bench.record import gained_intervals, load_record, save_record
    from xqr_bench.record import recompute as recompute_record

    path = Path(record)
    loaded = load_record(path, ranks=True)
    new, differences = recompute_record(loaded)
    figures = sum(1 for scores in new.scores.values() for _ in scores.items())
    for difference in differences[:20]:
        echo(f"{difference.place}: stored {difference.stored}, recomputed {difference.recomputed}")
    if len(differences) > 20:
        echo(f"... and {len(differences) - 20} more")
    gained = gained_intervals(loaded, new)
    if gained:
        done = "were added" if write else "can be added with --write"
        echo(f"{path}: intervals of {gained} figures, which an older version left out, {done}")
    if write and (differences or gained):
        save_record(new, path)
    agrees = peer is None or _cross_check(new, sample, seed)
    if not differences:
        echo(f"{path}: all {figures} figures follow from its ranks ({loaded.ranks_file.digest[:12]}…)")
    elif write:
        echo(f"{path}: {len(differences)} values of {figures} figures were replaced")
    else:
        echo(f"{path}: {len(differences)} values do not follow from its ranks")
    if not agrees or (differences and not write):
        raise SystemExit(1)


def _cross_check(record: Record, sample: int, seed: int) -> bool:
    """Print our figures beside pytrec_eval's on rebuilt rankings; whether they agree."""
    from xqr_bench.measure.peers import TOLERANCE, cross_check

    found = cross_check(record.ranks, record.task.metrics, record.task.settings, sample=sample, seed=seed)
    echo("means over the lists drawn; ours: expected, and in the worst and best order of ties; theirs: pytrec_eval")
    head = ("setting", "metric", "lists", "expected", "worst", "theirs", "best", "theirs", "largest difference")
    echo("{:<14} {:<12} {:>7} {:>10} {:>10} {:>10} {:>10} {:>10}  {}".format(*head))
    for row in found:
        figures = (row.expected, row.worst, row.their_worst, row.best, row.their_best)
        shown = " ".join(f"{value:>10.6f}" for value in figures)
        verdict = "" if row.agrees else "  DISAGREES"
        echo(f"{row.setting:<14} {row.metric:<12} {row.lists:>7,} {shown}  {row.difference:.1e}{verdict}")
    wrong = sum(not row.agrees for row in found)
    if not found:
        echo("pytrec_eval has none of the metrics of this record")
    elif wrong:
        echo(f"pytrec_eval disagrees on {wrong} of {len(found)} figures: a list differs by more than {TOLERANCE:g}")
    else:
        echo(f"pytrec_eval agrees: no list differs by more than {TOLERANCE:g}")
    return not wrong
