"""evaluate(): the one module that joins the rooms, from task and encoder to record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import Ranks, TaskData
from xqr_bench.encode import (
    BoundEncoder,
    Embeddings,
    EncoderOptions,
    VectorStore,
    embed_tasks,
    in_context,
    load_encoder,
    vector_store,
)
from xqr_bench.encode.transform import Source, TransformFacts, TransformOptions, read_source, transform_vectors
from xqr_bench.measure.certainty import SEED, attach_certainty
from xqr_bench.measure.metrics import parse_metric, refuse_shallow
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.device import PROCESSOR, counting_device, device_name
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.index import IndexFacts, IndexOptions, refuse_too_few
from xqr_bench.rank.index_ranks import Indexed, indexed_ranks
from xqr_bench.rank.index_store import check_place, save_index
from xqr_bench.rank.product import DEFAULT_MEMORY
from xqr_bench.record import (
    LanguageDiagnostics,
    ModelInfo,
    Provenance,
    RanksInfo,
    Record,
    TextCounts,
    provenance,
    ranks_digest,
)
from xqr_bench.record.describe import (
    language_diagnostics,
    relevance_info,
    representation_warnings,
    task_info,
    truncation_warnings,
)
from xqr_bench.record.provenance import exposure_of, training_of
from xqr_bench.tasks import TaskSpec, load_task, own_file, resolve_task


def evaluate(
    encoder: str | object,
    task: str | Path | TaskSpec = "mini",
    *,
    options: EncoderOptions | None = None,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    allow_zero_vectors: bool = False,
    transform: TransformOptions | None = None,
    index: IndexOptions | None = None,
    index_folder: Path | None = None,
    observe: Observer | None = None,
    cache: bool = True,
) -> Record:
    """Score an encoder on one task.

    Args:
        encoder: a MODEL string as on the command line, or any object with an encode method (see `Encoder`).
        task: a task's name or the path of a task file.
        options: how to load and use the encoder.
        data_dir: folder with the data files; default: XQR_BENCH_DATA, else the cache, filled by a download.
        languages: only these languages (the record is marked partial).
        limit: only the first questions and the paragraphs that hold them (marked partial).
        allow_zero_vectors: score zero vectors as 0 instead of refusing them.
        transform: what to do to the vectors before they are ranked (docs/transforms.md); default: nothing.
        index: rank through FAISS indices of this kind; default: count exactly, without an index.
        index_folder: save the indices there.
        observe: hears how far the work is.
        cache: keep vectors in the user's embedding store and take those kept (docs/cache.md); never those of an object.

    Returns:
        the record, with its ranks.

    Raises:
        XqrBenchError: whatever is wrong with the arguments, the data or the encoder.
    """
    bound = load_encoder(encoder, options or EncoderOptions())
    try:
        records = evaluate_tasks(
            bound,
            [task],
            data_dir=data_dir,
            languages=languages,
            limit=limit,
            allow_zero_vectors=allow_zero_vectors,
            transform=transform,
            index=index,
            index_folder=index_folder,
            observe=observe,
            store=vector_store() if cache else None,
        )
        return records[0]
    finally:
        bound.close()


def evaluate_tasks(
    encoder: BoundEncoder,
    tasks: Sequence[str | Path | TaskSpec],
    *,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    allow_zero_vectors: bool = False,
    memory: int = DEFAULT_MEMORY,
    score_device: str = "auto",
    observe: Observer | None = None,
    arguments: Mapping[str, Any] | None = None,
    metrics: Sequence[str] | None = None,
    on_vectors: Callable[[TaskData, Embeddings], None] | None = None,
    transform: TransformOptions | None = None,
    index: IndexOptions | None = None,
    index_folder: Path | None = None,
    overwrite_index: bool = False,
    store: VectorStore | None = None,
) -> list[Record]:
    """Score a loaded encoder on several tasks; each distinct text of all of them is encoded once.

    Args:
        encoder: as `load_encoder` returns it.
        tasks: names, paths or specs.
        data_dir, languages, limit, allow_zero_vectors, observe: as for `evaluate`.
        memory: bytes to rank in, beside the vectors; results do not depend on it.
        score_device: where scores are counted (see `counting_device`); their last bits depend on it.
        arguments: the arguments as the user gave them, for the record.
        metrics: compute these instead of the metrics of the tasks.
        on_vectors: given each task and the vectors that were ranked, such as to write a run.
        transform, index, index_folder: as for `evaluate`; a folder holds the indices of one task.
        overwrite_index: replace the indices that the folder holds.
        store: as for `embed_tasks`; default: every text is encoded, and nothing is kept.

    Returns:
        one record per task, in order.
    """
    observe = observe or Observer()
    clock = Clock()
    settings = {
        "data_dir": None if data_dir is None else str(data_dir),
        "languages": None if languages is None else list(languages),
        "limit": limit,
        "allow_zero_vectors": allow_zero_vectors,
        "memory": memory,
        "score_device": score_device,
        "metrics": None if metrics is None else list(metrics),
        "transform": None if transform is None else transform.name,
        "transform_from": None if transform is None or transform.source is None else str(transform.source),
        "index": None if index is None else {"type": index.type, **index.values, "depth": index.list_depth},
        "seed": SEED,
    }
    training = training_of(encoder.source)
    specs = [choose_metrics(resolve_task(task), metrics) for task in tasks]
    check_index(index, specs, index_folder, overwrite=overwrite_index)
    if transform is not None and index_folder is not None:
        raise UsageError(
            "an index of transformed vectors cannot be saved", remedy="leave --transform or --save-index out"
        )
    with clock.phase("loading"), observe.phase("loading", len(specs)):
        loaded: list[TaskData] = []
        for spec in specs:
            loaded.append(load_task(spec, data_dir=data_dir, languages=languages, limit=limit, observe=observe))
            observe.advance(1)
    if index is not None:  # before anything is encoded
        for data in loaded:
            for code, size in zip(data.languages, data.column_sizes.tolist(), strict=True):
                refuse_too_few(index, size, code)
    counted_on = counting_device(score_device, encoder.device) if index is None else PROCESSOR
    bitext = read_source(transform, loaded)
    with clock.phase("encoding"):
        embeddings = embed_tasks(
            encoder,
            loaded if bitext is None else [*loaded, bitext],
            allow_zero_vectors=allow_zero_vectors,
            store=store,
            observe=observe,
        )

    records = []
    for spec, data in zip(specs, loaded, strict=True):
        vectors = ranked = embeddings[data.name]
        own = Clock(dict(clock.seconds))
        facts, notes = None, list[str]()
        if transform is not None:
            source = None if bitext is None else Source(bitext, embeddings[bitext.name])
            with own.phase("transforming"):
                moved = transform_vectors(data, vectors, transform, similarity=encoder.similarity, source=source)
            ranked, facts, notes = moved.vectors, moved.facts, list(moved.warnings)
        with own.phase("ranking"):
            ranks, indexed = _ranks(data, ranked, encoder, index, memory, counted_on, observe)
        if indexed is not None and index_folder is not None:
            with own.phase("saving the index"):
                save_index(index_folder, indexed, data, encoder, task_file=own_file(spec), overwrite=overwrite_index)
        if on_vectors is not None:
            with own.phase("run"):
                on_vectors(data, ranked)
        with own.phase("diagnostics"):
            diagnostics = language_diagnostics(data, vectors, encoder)
        notes = [*truncation_warnings(vectors), *representation_warnings(diagnostics), *notes]
        record = make_record(
            spec,
            data,
            ranks,
            ModelInfo(name=record_name(encoder, transform, index), identity=encoder.identity),
            clock=own,
            device=encoder.device,
            diagnostics=diagnostics,
            warnings=[*encoder.warnings_for(data.name), *notes],
            settings=settings,
            arguments=arguments,
            transform=facts,
            index=None if indexed is None else indexed.facts,
        )
        record.provenance.hardware["counted_on"] = device_name(counted_on)
        record.provenance.texts = TextCounts(distinct=vectors.distinct_texts, from_store=vectors.stored_texts)
        if training is not None:
            made = {"training": training.model_dump(mode="json"), "exposure": exposure_of(training, data)}
            record = record.model_copy(update=made)
        records.append(record)
    return records


def record_name(encoder: BoundEncoder, transform: TransformOptions | None, index: IndexOptions | None) -> str:
    """What the record's model is called: the encoder, then what was done to its vectors."""
    return encoder.name + "".join(found.suffix for found in (transform, index) if found is not None)


def choose_metrics(spec: TaskSpec, metrics: Sequence[str] | None) -> TaskSpec:
    """The task with these metrics instead of its own; itself when None.

    Raises:
        UnknownNameError, UsageError: one of them is no metric, or none is named.
    """
    if metrics is None:
        return spec
    names = tuple(dict.fromkeys(parse_metric(name).name for name in metrics))
    if not names:
        raise UsageError("no metric is left", remedy="name some, such as map,mrr,recall@10")
    return spec.model_copy(update={"metrics": names})


def check_index(
    index: IndexOptions | None, specs: Sequence[TaskSpec], folder: Path | None, *, overwrite: bool = False
) -> None:
    """Check before anything is computed that an index serves the metrics of the tasks and can be saved.

    Raises:
        UsageError: a metric looks deeper than the index's lists, or the folder cannot hold the indices.
    """
    if index is not None and index.list_depth is not None:
        for spec in specs:
            refuse_shallow(spec.metrics, index.list_depth, remedy="give --depth {depth} or more")
    if folder is None:
        return
    if index is None:
        raise UsageError("there is no index to save", remedy="say which with --index, such as --index flat")
    if len(specs) != 1:
        raise UsageError(f"a folder holds the index of one task, not of {len(specs)}", remedy="give one --task")
    check_place(folder, overwrite=overwrite)


def make_record(
    spec: TaskSpec,
    data: TaskData,
    ranks: Ranks,
    model: ModelInfo,
    *,
    clock: Clock,
    settings: Mapping[str, Any],
    arguments: Mapping[str, Any] | None = None,
    device: str | None = None,
    diagnostics: Mapping[str, LanguageDiagnostics] | None = None,
    warnings: Sequence[str] = (),
    transform: TransformFacts | None = None,
    index: IndexFacts | None = None,
    certainty: bool = True,
) -> Record:
    """Score ranks and put the record together, wherever the ranks come from.

    Args:
        spec: the task; its settings and metrics are those scored.
        data: its texts.
        ranks: what was counted or read.
        model: what ranked the candidates.
        clock: the time spent so far; scoring is added.
        settings: the arguments with their defaults.
        arguments: the arguments as the user gave them.
        device: where the model ran.
        diagnostics: what happened to the texts, by language.
        warnings: what a user should read beside the scores, before those about ties.
        transform, index: what was done to the vectors before they were ranked; the FAISS index the ranks come from.
        certainty: whether to compute intervals, which take most of the time.

    Returns:
        the record, with its ranks.
    """
    info = task_info(spec, data)
    with clock.phase("scoring"):
        values = all_per_query(ranks, info.metrics, info.settings)
        scores, of_ties = score(values, info.groups)
    with clock.phase("certainty"):
        scores = attach_certainty(scores, values, ranks, info.groups) if certainty else scores
    with clock.phase("relevance"):
        relevance = {name: relevance_info(name, ranks, info) for name in spec.relevance}
    record = Record(
        task=info,
        model=model,
        scores=scores,
        relevance=relevance,
        diagnostics=dict(diagnostics or {}),
        warnings=[*warnings, *of_ties],
        ranks_file=RanksInfo(
            file=None,
            digest=ranks_digest(ranks),
            n_queries=ranks.n_queries,
            n_relevants=ranks.n_relevants,
            depth=ranks.depth,
        ),
        provenance=Provenance(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance.versions(),
            hardware=provenance.hardware(device),
            arguments=dict(arguments or {}),
            settings=dict(settings),
            seconds=clock.seconds,
        ),
        transform=transform,
        index=index,
    )
    return record.with_ranks(ranks)


def _ranks(
    data: TaskData,
    vectors: Embeddings,
    encoder: BoundEncoder,
    index: IndexOptions | None,
    memory: int,
    device: str,
    observe: Observer,
) -> tuple[Ranks, Indexed | None]:
    both, how = (vectors.queries, vectors.candidates), encoder.similarity
    if index is None:
        return exact_ranks(data, *both, similarity=how, memory=memory, device=device, observe=observe), None
    indexed = indexed_ranks(data, *both, index, similarity=how, memory=memory, observe=observe)
    return indexed.ranks, indexed


def rehearse(
    encoder: BoundEncoder,
    tasks: Sequence[str | Path | TaskSpec],
    *,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    observe: Observer | None = None,
) -> list[str]:
    """A dry run: read and check all data, encode the first question of each task, and tell what a run would do.

    Returns:
        one line per task.
    """
    observe = observe or Observer()
    lines = []
    for task in tasks:
        spec = resolve_task(task)
        with observe.phase("loading", 1):
            data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, observe=observe)
            observe.advance(1)
        few = load_task(data, limit=1)
        placed = in_context(data, encoder.identity.candidate_context)
        vectors = embed_tasks(encoder, [few], observe=observe)[data.name]
        texts = len({query.text for query in data.queries}) + len({found.text for found in placed.candidates})
        line = (
            f"{data.name}: {len(data.languages)} languages, {len(data.queries):,} queries, "
            f"{len(data.candidates):,} candidates; about {texts:,} distinct texts to encode; "
            f"{vectors.distinct_texts} of them gave vectors of {vectors.queries.shape[1]} dimensions"
        )
        if vectors.distinct_texts:
            minutes = vectors.seconds / vectors.distinct_texts * texts / 60
            line += f" in {vectors.seconds:.2f} s (at that rate {minutes:.1f} min in all)"
        lines.append(line)
    return lines
