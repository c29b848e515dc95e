"""`xqr-bench data`: fetch, verify or list the data files of the tasks."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import click

from xqr_bench.cli.options import DataFolder
from xqr_bench.cli.printing import console, echo
from xqr_bench.core.options import takes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xqr_bench.core.types import TaskData
    from xqr_bench.tasks import FileCheck, TaskSpec

TASKS = click.argument("tasks", nargs=-1, metavar="[TASK]...")


@click.group()
def data() -> None:
    """Fetch, verify or list the data files of the tasks.

    TASK is the name of a shipped task or the path of a task file.
    """


@data.command("list")
@takes(where=DataFolder)
@TASKS
def list_files(tasks: tuple[str, ...], where: DataFolder) -> None:
    """Show where the files of each task are, or would be."""
    from xqr_bench.report.table import Table, columns
    from xqr_bench.tasks import locate

    rows, folders = [], []
    for spec in _specs(tasks):
        places = [locate(spec, key, where.data_dir) for key in spec.files]
        present = [place for place in places if place.present]
        size = size_text(sum(place.path.stat().st_size for place in present))
        licence = spec.licence.name if spec.licence else "not stated"
        rows.append((spec.name, f"{len(present)} of {len(places)}", size, licence))
        folders.append(f"{spec.name} ({places[0].kind}): {places[0].path.parent}")
    console().print(Table("", columns("task", "at hand", "size", "licence", names=4), rows, frame="list").terminal())
    echo("\n" + "\n".join(folders))


@data.command("fetch")
@click.option("--force", is_flag=True, help="Download again what is there already.")
@TASKS
def fetch_files(tasks: tuple[str, ...], force: bool) -> None:
    """Download the files of TASK into the cache.

    Default: of every task that has a download and whose digests are known; the others, some of them large, when named.
    """
    from xqr_bench.cli.progress import DownloadProgress
    from xqr_bench.tasks import data_folder, fetch
    from xqr_bench.tasks.sources import cache_folder, to_bring

    for spec in _specs(tasks):
        if not spec.downloadable:
            if tasks:
                echo(f"{spec.name}: nothing to fetch, {to_bring(spec)}")
            continue
        if not tasks and not spec.digests_known:
            echo(f"{spec.name}: not fetched, for it was not named (xqr-bench data fetch {spec.name})")
            continue
        if spec.licence:
            echo(f"{spec.title}: licence {spec.licence.name} ({spec.licence.url})")
        with DownloadProgress() as observe:
            fetched = [fetch(spec, key, force=force, observe=observe) for key in spec.files]
        echo(
            f"{spec.name}: {sum(fetched)} downloaded, {len(fetched) - sum(fetched)} already there, "
            f"in {cache_folder(spec)}"
        )
    if data_folder() is not None:
        echo(f"note: XQR_BENCH_DATA is set, so {data_folder()} is read in place of the cache")


@data.command("verify")
@takes(where=DataFolder)
@TASKS
def verify_files(tasks: tuple[str, ...], where: DataFolder) -> None:
    """Check digest and content of every file of TASK (default: of every task); exit code 1 on a fault.

    Tasks that were never fetched are a fault only when they are named.
    """
    from xqr_bench.tasks import verify

    faults = 0
    for spec in _specs(tasks):
        checks = list(verify(spec, where.data_dir))
        if not tasks and all(check.place.kind == "cache" and not check.place.present for check in checks):
            echo(
                f"{spec.name}: not " + (f"fetched (xqr-bench data fetch {spec.name})" if spec.downloadable else "here")
            )
            continue
        faults += report_checks(spec, checks, where)[0]
    if faults:
        echo(f"{faults} fault{'s' if faults > 1 else ''} found", err=True)
        raise SystemExit(1)


def report_checks(spec: TaskSpec, checks: Sequence[FileCheck], where: DataFolder) -> tuple[int, TaskData | None]:
    """Print what was found of the files, and of the data that they make together.

    Returns:
        the number of faults; the data, where there is none.
    """
    from xqr_bench.cli.progress import LineProgress
    from xqr_bench.core.errors import DataError
    from xqr_bench.tasks import load_task
    from xqr_bench.tasks.load import shared_line

    if faults := _report(spec, checks):
        return faults, None
    try:
        whole = load_task(spec, data_dir=where.data_dir, observe=LineProgress())
    except DataError as error:
        echo(f"FAULT {error}")
        return 1, None
    echo(
        f"{spec.name}: {len(whole.queries):,} queries, {len(whole.candidates):,} candidates, "
        f"{len(set(whole.clusters)):,} articles"
    )
    if spec.parallel and (line := shared_line(whole)) is not None:
        echo(fill(f"{spec.name}: {line}", 80, subsequent_indent="  ", break_long_words=False))
    return 0, whole


def _report(spec: TaskSpec, checks: Sequence[FileCheck]) -> int:
    """Print a line per file (what to do about missing ones: once); return the number of faults."""
    missing_named = False
    for check in checks:
        name = spec.files[check.place.key].path
        if check.fault is not None:
            missing = not check.place.present
            echo(f"FAULT {name}: {'not there either' if missing and missing_named else check.fault}")
            missing_named = missing_named or missing
            continue
        digest = "digest ok" if spec.files[check.place.key].sha256 else "no digest to check"
        counts = f", {check.questions:,} questions, {check.candidates:,} candidates"
        echo(f"ok    {name:16} {size_text(check.size):>8}  {digest}{counts if check.questions else ''}")
    return sum(check.fault is not None for check in checks)


def _specs(tasks: tuple[str, ...]) -> list[TaskSpec]:
    from xqr_bench.tasks import list_specs, load_spec

    return [load_spec(task) for task in tasks] if tasks else list_specs()


def size_text(size: int) -> str:
    """A number of bytes for people: '0.7 MB', '-' for none."""
    if size == 0:
        return "-"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
