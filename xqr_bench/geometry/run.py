"""Tasks and an encoder -> panels, before and after a transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from xqr_bench.data import Progress as DataProgress
from xqr_bench.data import TaskSpec, load_task
from xqr_bench.encode import BoundEncoder, VectorStore, embed_tasks
from xqr_bench.geometry.panel import Geometry, measure_geometry
from xqr_bench.progress import EncodingPhase, Progress, Quiet, told
from xqr_bench.transform import Source, TransformOptions, read_source, transform_vectors


def geometry_of_tasks(
    encoder: BoundEncoder,
    specs: Sequence[TaskSpec],
    *,
    transform: TransformOptions | None = None,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    allow_zero_vectors: bool = False,
    store: VectorStore | None = None,
    progress: Progress | None = None,
    data_progress: DataProgress | None = None,
    notify: Callable[[str], None] | None = None,
) -> list[list[Geometry]]:
    """Measure the geometry of an encoder's vectors on several tasks.

    Args:
        encoder: as `load_encoder` returns it.
        specs: the tasks.
        transform: also measure the vectors after it.
        data_dir, languages, limit, data_progress: as for `load_task`.
        allow_zero_vectors, store, notify: as for `embed_tasks`.
        progress: told how far the work is.

    Returns:
        for each task the panel of the vectors as encoded and, with a transform, that of the transformed ones.

    Raises:
        XqrBenchError: whatever is wrong with the data, the encoder or the transform.
    """
    progress = progress or Quiet()
    tasks = [
        load_task(spec, data_dir=data_dir, languages=languages, limit=limit, progress=data_progress) for spec in specs
    ]
    bitext = read_source(transform, tasks)
    vectors = embed_tasks(
        encoder,
        tasks if bitext is None else [*tasks, bitext],
        progress=EncodingPhase(progress),
        allow_zero_vectors=allow_zero_vectors,
        store=store,
        notify=notify,
    )
    source = None if bitext is None else Source(bitext, vectors[bitext.name])
    similarity = encoder.similarity
    result = []
    with told(progress, "measuring", len(tasks) * (1 if transform is None else 2)):
        for data in tasks:
            own = vectors[data.name]
            panels = [measure_geometry(data, own, similarity=similarity, model=encoder.name)]
            progress.advance(1)
            if transform is not None:
                moved = transform_vectors(data, own, transform, similarity=similarity, source=source)
                label = moved.facts.label
                panels.append(
                    measure_geometry(data, moved.vectors, similarity=similarity, model=encoder.name, transform=label)
                )
                progress.advance(1)
            result.append(panels)
    return result
