"""`xqr-bench tasks`: list the tasks, or show one."""

from __future__ import annotations

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import console, echo, table_console
from xqr_bench.core.options import takes


@click.command()
@click.argument("name", required=False)
@takes(where=DataFolder)
def tasks(name: str | None, where: DataFolder) -> None:
    """List the shipped tasks, or show the one called NAME (or the task file at that path)."""
    from xqr_bench.cli.progress import LineProgress
    from xqr_bench.report.listings import fact_lines, languages_table, tasks_table
    from xqr_bench.tasks import list_specs, load_spec, load_task, locate

    if name is None:
        console().print(tasks_table(list_specs()).terminal())
        console().print("\nxqr-bench tasks NAME shows one; docs/tasks.md tells how to add your own.")
        return
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
        if missing[0].kind == "cache":
            echo(f"to do: xqr-bench data fetch {spec.name}")
    echo("\n" + "\n".join(fact_lines(spec, min(table_console().width, 98))))
    if spec.citation.strip():
        echo(f"\n{spec.citation.strip()}")
