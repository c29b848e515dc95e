"""Options that commands share, and what they mean together: FAISS, transforms of vectors, TREC runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.common import Session, split
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.core.types import TaskData
    from xqr_bench.encode.transform import TransformOptions
    from xqr_bench.evaluation.ranker import Ranker
    from xqr_bench.rank.exact import ScoreBlock
    from xqr_bench.rank.index import IndexOptions
    from xqr_bench.record import Record
    from xqr_bench.tasks import TaskSpec


# FAISS on the command line: the options of `evaluate`, and what they mean together.


def index_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that rank through FAISS indices."""
    options = [
        click.option("--index", help="Rank through FAISS: flat (exact), hnsw, ivf or ivfpq. Default: no index, exact."),
        click.option(
            "--index-param",
            "index_params",
            multiple=True,
            metavar="NAME=VALUE",
            help="A parameter of the index, such as ef_search=64; repeat for more (docs/faiss.md lists them).",
        ),
        click.option("--depth", type=int, help="Hits kept of each language's list; default 1000, flat: all."),
        click.option(
            "--save-index",
            type=click.Path(),
            metavar="DIR",
            help="Save the indices and ids there, for `xqr-bench search DIR`.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_index(options: Mapping[str, Any]) -> IndexOptions | None:
    """The index that the options ask for, None when they ask for none.

    Raises:
        UsageError: options that contradict each other, or values that cannot be meant.
    """
    if options["index"] is None:
        given = {"--index-param": "index_params", "--depth": "depth", "--save-index": "save_index"}
        lone = [flag for flag, name in given.items() if options[name] not in (None, ())]
        if lone:
            raise UsageError(f"{lone[0]} is given without --index", remedy="say which index: --index flat")
        return None
    from xqr_bench.rank.index import IndexOptions

    return IndexOptions.parse(options["index"], options["index_params"], options["depth"])


def check_index_options(specs: Sequence[TaskSpec], index: IndexOptions | None, options: Mapping[str, Any]) -> None:
    """Check before an encoder is loaded that the index serves the metrics of the tasks and can be saved.

    Raises:
        UsageError: a metric looks deeper than the index's lists, or the folder cannot hold the indices.
    """
    if index is None:
        return
    from pathlib import Path

    from xqr_bench.cli.common import split
    from xqr_bench.evaluation.evaluate import choose_metrics
    from xqr_bench.evaluation.vectors import check_index

    folder = None if options["save_index"] is None else Path(options["save_index"])
    for spec in specs:
        check_index(index, [choose_metrics(spec, split(options["metrics"]))], folder, overwrite=options["overwrite"])


# Transforms of vectors on the command line: the options, and what they mean together.


def transform_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that change vectors before they are ranked."""
    options = [
        click.option(
            "--transform",
            metavar="NAME",
            help="Change the vectors of each language first: none, center, whiten or remove-K (docs/transforms.md).",
        ),
        click.option(
            "--transform-from",
            type=click.Path(),
            metavar="DIR",
            help="Estimate it on translated sentences, DIR/<language>.txt, instead of the texts of the task.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_transform(options: Mapping[str, Any]) -> TransformOptions | None:
    """The transform that the options ask for, None when they ask for none.

    Raises:
        UsageError: there is no such transform, or a folder is given without one.
    """
    if options["transform"] is None and options["transform_from"] is None:
        return None
    from xqr_bench.encode.transform import TransformOptions

    return TransformOptions.parse(options["transform"], options["transform_from"])


# A ranker on the command line: its records, and with `--trec-run` its runs.

BlockWriter = Callable[["TaskData", Iterable["ScoreBlock"]], None]


def run_writer(
    session: Session, name: str, specs: Sequence[TaskSpec], options: Mapping[str, Any], observe: RunProgress
) -> BlockWriter | None:
    """What writes the runs of a task from its scores, as --trec-run asks; None without it.

    Args:
        session: tells the size before.
        name: of the system.
        specs: the tasks.
        options: the values of `trec_options`.
        observe: shows a bar.
    """
    if options.get("trec_run") is None:
        if options.get("trec_settings") is not None:
            raise UsageError("--trec-settings is given without --trec-run", remedy="name the folder: --trec-run DIR")
        return None
    if options.get("index"):
        raise UsageError(
            "--trec-run writes the exact ranking, not that of an approximate index",
            remedy="leave --index or --trec-run out",
        )
    from xqr_bench.core.types import CROSS_LINGUAL
    from xqr_bench.rank.runs import check_settings, plan_runs, write_runs

    wanted = split(options["trec_settings"])
    settings = {spec.name: check_settings(wanted, spec) for spec in specs}

    def write(data: TaskData, blocks: Iterable[ScoreBlock]) -> None:
        plan = plan_runs(data, Path(options["trec_run"]), settings[data.name], tag=name, depth=options["trec_depth"])
        hint = ""
        if CROSS_LINGUAL in settings[data.name] and len(settings[data.name]) > 1:
            others = ",".join(name for name in settings[data.name] if name != CROSS_LINGUAL)
            hint = f"; with --trec-settings {others} it would be far less"
        session.say(f"{plan}{hint}")
        paths = write_runs(data, blocks, plan, tag=name, observe=observe)
        size = sum(path.stat().st_size for path in paths)
        session.say(f"wrote {', '.join(str(path) for path in paths)}: {size / 1e6:,.1f} MB")

    return write


def score_and_save(session: Session, ranker: Ranker, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Score the tasks that have no record yet, save and print their records.

    Args:
        session: which tasks.
        ranker: what ranks; with `--trec-run` its scores are written too.
        options: the values of `trec_options`, where the command has them.
        arguments: as the user gave them, for the records.

    Returns:
        whether anything was scored.
    """
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.evaluation.evaluate import evaluate
    from xqr_bench.evaluation.ranker import HandedOn

    todo = session.todo(ranker.name, ranker.identity)
    records: list[Record] = []
    if todo:
        with RunProgress(quiet=session.quiet) as observe:
            write = run_writer(session, ranker.name, todo, options, observe)
            records = evaluate(
                ranker if write is None else HandedOn(ranker, write),
                todo,
                select=session.select,
                metrics=session.metrics,
                observe=observe,
                arguments=arguments,
            )
    for record in records:
        texts = record.provenance.texts
        if texts is not None and texts.from_store:
            session.say(f"{record.task.name}: {texts.from_store:,} of {texts.distinct:,} texts came from the store")
    session.finish(ranker.name, records)
    return bool(todo)
