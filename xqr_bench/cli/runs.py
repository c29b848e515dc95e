"""TREC runs on the command line: `evaluate run:DIR`, and `--trec-run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xqr_bench.cli.common import Session, split
from xqr_bench.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.data import TaskSpec
    from xqr_bench.encode import BoundEncoder, Embeddings, EncoderOptions
    from xqr_bench.search.hits import ScoreBlock
    from xqr_bench.types import TaskData

BlockWriter = Callable[["TaskData", Iterable["ScoreBlock"]], None]
_NOT_OF_A_RUN = ("dry_run", "allow_zero_vectors", "trec_run", "transform", "index", "memory", "score_device")


def evaluate_run(
    session: Session, model: str, encoder_options: EncoderOptions, given: dict[str, Any], options: Mapping[str, Any]
) -> None:
    """Score the runs that MODEL, `run:DIR`, names."""
    from xqr_bench.cli.progress import RunProgress
    from xqr_bench.encode.load import RUN_PREFIX
    from xqr_bench.trec import evaluate_runs, run_identity

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
        with RunProgress(quiet=session.quiet) as progress:
            records = evaluate_runs(
                folder,
                todo,
                name=name,
                metrics=session.metrics,
                progress=progress,
                data_progress=progress.data,
                arguments={"model": model, **{key: value for key, value in given.items() if key != "model"}},
                **session.chosen,
            )
    session.finish(name, records)


def block_writer(
    session: Session, name: str, specs: Sequence[TaskSpec], options: Mapping[str, Any], progress: RunProgress
) -> BlockWriter | None:
    """What writes the runs of a task from blocks of scores, as --trec-run asks; None without it.

    Args:
        session: tells the size before.
        name: of the system.
        specs: the tasks.
        options: the values of `trec_options`.
        progress: shows a bar.
    """
    if options["trec_run"] is None:
        if options["trec_settings"] is not None:
            raise UsageError("--trec-settings is given without --trec-run", remedy="name the folder: --trec-run DIR")
        return None
    from xqr_bench.progress import told
    from xqr_bench.trec import check_settings, plan_runs, write_runs
    from xqr_bench.types import CROSS_LINGUAL

    wanted = split(options["trec_settings"])
    settings = {spec.name: check_settings(wanted, spec) for spec in specs}

    def write(data: TaskData, blocks: Iterable[ScoreBlock]) -> None:
        plan = plan_runs(data, Path(options["trec_run"]), settings[data.name], tag=name, depth=options["trec_depth"])
        hint = ""
        if CROSS_LINGUAL in settings[data.name] and len(settings[data.name]) > 1:
            others = ",".join(name for name in settings[data.name] if name != CROSS_LINGUAL)
            hint = f"; with --trec-settings {others} it would be far less"
        session.say(f"{plan}{hint}")
        done = 0

        def tell(queries: int) -> None:
            nonlocal done
            progress.advance(queries - done)
            done = queries

        with told(progress, "writing", len(data.queries)):
            paths = write_runs(data, blocks, plan, tag=name, progress=tell)
        size = sum(path.stat().st_size for path in paths)
        session.say(f"wrote {', '.join(str(path) for path in paths)}: {size / 1e6:,.1f} MB")

    return write


def run_writer(
    session: Session,
    encoder: BoundEncoder,
    name: str,
    specs: Sequence[TaskSpec],
    options: Mapping[str, Any],
    progress: RunProgress,
) -> Callable[[TaskData, Embeddings], None] | None:
    """The same, from vectors: what `evaluate_tasks` calls with each task."""
    write = block_writer(session, name, specs, options, progress)
    if write is None:
        return None
    if options.get("index"):
        raise UsageError(
            "--trec-run writes the exact ranking, not that of an approximate index",
            remedy="leave --index or --trec-run out",
        )
    from xqr_bench.search.hits import vector_scores

    def on_vectors(data: TaskData, vectors: Embeddings) -> None:
        write(data, vector_scores(vectors.queries, vectors.candidates, similarity=encoder.similarity))

    return on_vectors
