"""`xqr-bench tasks`: list the tasks, show one, or check a new one."""

from __future__ import annotations

from pathlib import Path

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import console, echo, echo_tables, table_console
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import takes


@click.command()
@click.argument("what", nargs=-1, metavar="[NAME | check FILE]")
@takes(where=DataFolder)
def tasks(what: tuple[str, ...], where: DataFolder) -> None:
    """List the shipped tasks, or show the one called NAME (or the task file at that path).

    With check FILE: check a task file and its data, and show three examples as they were read; exit code 1 on a fault.
    """
    from xqr_bench.report.listings import tasks_tables
    from xqr_bench.tasks import list_specs

    if not what:
        echo_tables(tasks_tables(list_specs()))
        console().print("xqr-bench tasks NAME shows one; docs/tasks.md tells how to add your own.")
    elif len(what) == 1 and what[0] != "check":
        _show(what[0], where)
    elif len(what) == 2 and what[0] == "check":
        _check(what[1], where)
    else:
        raise UsageError(
            f"tasks takes the name of a task, or check and a task file; not {' '.join(what)}",
            remedy="xqr-bench tasks NAME, or xqr-bench tasks check FILE",
        )


def _check(name: str, where: DataFolder) -> None:
    from xqr_bench.cli.data import report_checks
    from xqr_bench.report.listings import example_lines
    from xqr_bench.tasks import load_spec, verify
    from xqr_bench.tasks.find import own_file, shipped_tasks
    from xqr_bench.tasks.spec import read_spec

    spec = read_spec(Path(name).expanduser()) if name.endswith(".toml") else load_spec(name)
    if spec.name in shipped_tasks() and own_file(spec):
        echo(f"note: {spec.name} is the name of a shipped task: give yours another before you evaluate it")
    faults, data = report_checks(spec, list(verify(spec, where.data_dir)), where)
    if data is None:
        echo(f"{faults} fault{'s' if faults > 1 else ''} found", err=True)
        raise SystemExit(1)
    echo("\n" + "\n".join(example_lines(spec, data)))


def _show(name: str, where: DataFolder) -> None:
    from xqr_bench.cli.progress import LineProgress
    from xqr_bench.report.listings import fact_lines, languages_table
    from xqr_bench.tasks import load_spec, load_task, locate
    from xqr_bench.tasks.sources import to_bring

    spec = load_spec(name)
    places = [locate(spec, key, where.data_dir) for key in spec.files]
    missing = [place for place in places if not place.present]
    console().print(f"{spec.title} ({spec.name})", style="bold")
    if spec.description:
        console().print(" ".join(spec.description.split()))
    console().print()
    data = None if missing else load_task(spec, data_dir=where.data_dir, observe=LineProgress())
    console().print(languages_table(spec, data).terminal())
    if missing:
        echo(f"no counts: {len(missing)} of {len(places)} files are not in {missing[0].path.parent}")
        if spec.source:
            echo(f"to do: {to_bring(spec)}")
        elif missing[0].kind == "cache":
            echo(f"to do: xqr-bench data fetch {spec.name}")
    echo("\n" + "\n".join(fact_lines(spec, min(table_console().width, 98))))
    if spec.citation.strip():
        echo(f"\n{spec.citation.strip()}")
