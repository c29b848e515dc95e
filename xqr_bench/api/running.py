"""`xqr_bench.evaluate`: one encoder on one task, from Python; `xqr_bench.run`: all that a file asks for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from xqr_bench.cli.progress import progress_here
from xqr_bench.cli.run import make_records, summary, write_summary
from xqr_bench.cli.run_file import read_run_file
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError
from xqr_bench.core.frames import Backend, data_frame
from xqr_bench.core.observe import Observer
from xqr_bench.encode import EncoderOptions, vector_store
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.evaluate import evaluate as evaluate_all
from xqr_bench.evaluation.evaluate import opened
from xqr_bench.evaluation.fused import Fused
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.index import IndexOptions
from xqr_bench.rank.quantize import QuantizeOptions
from xqr_bench.record import Result
from xqr_bench.tasks import Selection, TaskSpec


class OfVectors(TypedDict, total=False):
    """Arguments that only encoders take, see `VectorRanker`."""

    allow_zero_vectors: bool
    transform: TransformOptions | None
    quantize: QuantizeOptions | None
    index: IndexOptions | None
    index_folder: Path | None


@checked
def evaluate(
    ranker: str | object,
    task: str | Path | TaskSpec = "mini",
    *,
    options: EncoderOptions | None = None,
    metrics: Sequence[str] | None = None,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    cache: bool = True,
    progress: bool = False,
    observe: Observer | None = None,
    **of_vectors: Unpack[OfVectors],
) -> Result:
    """Score an encoder, or another ranker, on one task.

    Args:
        ranker: a MODEL string as on the command line, any object with an encode method (see `Encoder`), or a `Ranker`.
        task: a task's name or the path of a task file.
        options: how to load and use the encoder.
        metrics: compute these instead of the metrics of the task, such as `["map", "recall@10"]`.
        data_dir: folder with the data files; default: XQR_BENCH_DATA, else the cache, filled by a download.
        languages: only these languages (the record is marked partial).
        limit: only the first questions and the groups (such as paragraphs) that hold them (marked partial).
        cache: keep vectors in the user's embedding store and take those kept (docs/cache.md); never those of an object.
        progress: show how far the work is: bars in a terminal or notebook, lines in a log.
        observe: hears how far the work is, in place of `progress`.
        of_vectors: of encoders only.
            allow_zero_vectors: score zero vectors as 0 instead of refusing them.
            transform: what to do to the vectors before they are ranked (docs/transforms.md); default: nothing.
            quantize: rank quantised vectors (docs/quantize.md); default: float32.
            index: rank through FAISS indices of this kind; default: count exactly, without an index.
            index_folder: save the indices there.

    Returns:
        the record, with its ranks. Nothing is written: `Result.save` does that.

    Raises:
        XqrBenchError: whatever is wrong with the arguments, the data or the ranker.
    """
    if progress and observe is not None:
        raise UsageError("both progress and observe are given", remedy="leave one of them out")
    select = Selection(languages, limit, data_dir)
    with ExitStack() as stack:
        if progress:
            observe = stack.enter_context(progress_here())
        chosen = stack.enter_context(opened(ranker, options))
        if isinstance(chosen, VectorRanker) and chosen is not ranker:
            chosen = replace(chosen, store=vector_store() if cache else None, **of_vectors)
        elif isinstance(chosen, Fused) and chosen is not ranker and not of_vectors:
            chosen = chosen.with_store(vector_store() if cache else None)
        elif of_vectors:
            raise UsageError(f"{', '.join(of_vectors)} cannot be used with {chosen.name}", remedy="leave it out")
        return evaluate_all(chosen, [task], select=select, metrics=metrics, observe=observe)[0]


@checked
def run(
    file: Path | str,
    *,
    retry: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    backend: Backend = "pandas",
) -> Any:
    """Make the records that a file of models, tasks and variants asks for, as `xqr-bench run` does (docs/run.md).

    Args:
        file: the file, TOML.
        retry: try again what failed before.
        overwrite: make all records again.
        progress: tell how far the work is, on standard error.
        backend: the library of the data frame.

    Returns:
        the summary as a data frame, which is also written as CSV: a row a record, with its `state` ("made", "there",
        "failed" or "failed before"), `error`, options and figures. What failed raises nothing.

    Raises:
        XqrBenchError: the file asks for what cannot be done, of which nothing is begun, or cannot be read.
    """
    runs = read_run_file(Path(file), overwrite=overwrite, quiet=not progress)
    columns, _ = summary(runs, list(make_records(runs, retry=retry)))
    write_summary(runs, columns)
    return data_frame(columns, backend)
