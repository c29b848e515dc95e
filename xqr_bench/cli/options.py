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
    from xqr_bench.encode import BoundEncoder, Embeddings, EncoderOptions
    from xqr_bench.encode.transform import TransformOptions
    from xqr_bench.rank.exact import ScoreBlock
    from xqr_bench.rank.index import IndexOptions
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
    from xqr_bench.evaluation.pipeline import check_index, choose_metrics

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


# TREC runs on the command line: `evaluate run:DIR`, and `--trec-run`.

BlockWriter = Callable[["TaskData", Iterable["ScoreBlock"]], None]
_NOT_OF_A_RUN = ("dry_run", "allow_zero_vectors", "trec_run", "transform", "index", "memory", "score_device")


def evaluate_run(
    session: Session, model: str, encoder_options: EncoderOptions, given: dict[str, Any], options: Mapping[str, Any]
) -> None:
    """Score the runs that MODEL, `run:DIR`, names."""
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.encode.load import RUN_PREFIX
    from xqr_bench.evaluation.runs import evaluate_runs, run_identity

    encoder_options.refuse_all_but("a run", frozenset({"name"}))
    wrong = [f"--{name.replace('_', '-')}" for name in _NOT_OF_A_RUN if options.get(name)]
    if wrong:
        raise UsageError(f"{', '.join(wrong)} cannot be used with a run", remedy="leave it out")
    folder = Path(model.removeprefix(RUN_PREFIX)).expanduser()
    identity = run_identity(folder)
    name = encoder_options.name or identity.name
    todo = session.todo(name, identity)
    records = []
    if todo:
        with RunProgress(quiet=session.quiet) as observe:
            records = evaluate_runs(
                folder,
                todo,
                name=name,
                metrics=session.metrics,
                observe=observe,
                arguments={"model": model, **{key: value for key, value in given.items() if key != "model"}},
                **session.chosen,
            )
    session.finish(name, records)


def block_writer(
    session: Session, name: str, specs: Sequence[TaskSpec], options: Mapping[str, Any], observe: RunProgress
) -> BlockWriter | None:
    """What writes the runs of a task from blocks of scores, as --trec-run asks; None without it.

    Args:
        session: tells the size before.
        name: of the system.
        specs: the tasks.
        options: the values of `trec_options`.
        observe: shows a bar.
    """
    if options["trec_run"] is None:
        if options["trec_settings"] is not None:
            raise UsageError("--trec-settings is given without --trec-run", remedy="name the folder: --trec-run DIR")
        return None
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


def run_writer(
    session: Session,
    encoder: BoundEncoder,
    name: str,
    specs: Sequence[TaskSpec],
    options: Mapping[str, Any],
    observe: RunProgress,
) -> Callable[[TaskData, Embeddings], None] | None:
    """The same, from vectors: what `evaluate_tasks` calls with each task."""
    write = block_writer(session, name, specs, options, observe)
    if write is None:
        return None
    if options.get("index"):
        raise UsageError(
            "--trec-run writes the exact ranking, not that of an approximate index",
            remedy="leave --index or --trec-run out",
        )
    from xqr_bench.rank.exact import vector_scores

    def on_vectors(data: TaskData, vectors: Embeddings) -> None:
        write(data, vector_scores(vectors.queries, vectors.candidates, similarity=encoder.similarity))

    return on_vectors
