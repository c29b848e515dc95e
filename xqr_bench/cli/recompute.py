"""`xqr-bench recompute`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from xqr_bench.cli.printing import echo
from xqr_bench.core.options import Part, Place, takes


@dataclass(frozen=True)
class Sampled:
    """Which lists another tool scores: arguments of `cross_check`.

    Attributes:
        sample: Lists it scores a setting; 0: all of them.
        seed: Of the drawing of those lists.
    """

    sample: int = 500
    seed: int = 0


@click.command()
@click.argument("record", type=Place(path_type=Path))
@click.option("--write", is_flag=True, help="Write the recomputed scores into the record.")
@click.option("--with", "peer", type=click.Choice(["pytrec_eval"]), help="Have rebuilt rankings scored by it too.")
@takes(sampled=Part(Sampled))
def recompute(record: Path, write: bool, peer: str | None, sampled: dict[str, Any]) -> None:
    """Check the ranks beside RECORD, and compute every score and interval anew from them.

    --with pytrec_eval also rebuilds rankings from the ranks, placeholders between the relevants, in the best and the
    worst order of ties, and shows what pytrec_eval makes of them beside our figures.

    Exit code 0 when all figures agree, 1 when one does not or is missing. An older record may lack intervals: --write
    adds them.
    """
    from xqr_bench.record import load_record, save_record
    from xqr_bench.record import recompute as recompute_record

    loaded = load_record(record, ranks=True, whole=False)
    new, differences = recompute_record(loaded)
    figures = sum(1 for scores in new.scores.values() for _ in scores.items())
    for difference in differences[:20]:
        echo(f"{difference.place}: stored {difference.stored}, recomputed {difference.recomputed}")
    if len(differences) > 20:
        echo(f"... and {len(differences) - 20} more")
    if write and differences:
        save_record(new, record)
    agrees = True
    if peer is not None:
        from xqr_bench.measure.peers import cross_check
        from xqr_bench.report.listings import cross_check_lines

        checks = cross_check(new.ranks, new.task.metrics, new.task.settings, **sampled)
        echo("\n".join(cross_check_lines(checks)))
        agrees = all(check.agrees for check in checks)
    if not differences:
        echo(f"{record}: all {figures} figures follow from its ranks ({loaded.ranks_file.digest[:12]}…)")
    elif write:
        echo(f"{record}: {len(differences)} values of {figures} figures were replaced")
    else:
        echo(f"{record}: {len(differences)} values do not follow from its ranks, or are missing; --write mends them")
    if not agrees or (differences and not write):
        raise SystemExit(1)
