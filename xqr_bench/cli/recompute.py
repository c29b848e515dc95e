"""`xqr-bench recompute`."""

from __future__ import annotations

import click


@click.command(short_help="Prove that a record's scores follow from its ranks.")
@click.argument("record", type=click.Path())
@click.option("--write", is_flag=True, help="Write the recomputed scores into the record.")
def recompute(record: str, write: bool) -> None:
    """Compute every score of RECORD anew from the ranks beside it.

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
        click.echo(f"{difference.place}: stored {difference.stored}, recomputed {difference.recomputed}")
    if len(differences) > 20:
        click.echo(f"... and {len(differences) - 20} more")
    gained = gained_intervals(loaded, new)
    if gained:
        done = "were added" if write else "can be added with --write"
        click.echo(f"{path}: intervals of {gained} figures, which an older version left out, {done}")
    if write and (differences or gained):
        save_record(new, path)
    if not differences:
        click.echo(f"{path}: all {figures} figures follow from its ranks ({loaded.ranks_file.digest[:12]}…)")
        return
    if write:
        click.echo(f"{path}: {len(differences)} values of {figures} figures were replaced")
        return
    click.echo(f"{path}: {len(differences)} values do not follow from its ranks")
    raise SystemExit(1)
