"""Encoders as rankers: vectors counted exactly or through FAISS, transformed or quantised where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import IntArray, Ranks, TaskData
from xqr_bench.encode import (
    BoundEncoder,
    Embeddings,
    ModelIdentity,
    VectorStore,
    embed_tasks,
    embedder_of,
    in_context,
)
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.transform import TransformedEmbeddings, TransformOptions
from xqr_bench.evaluation.ranker import Ranking, Scores, Task
from xqr_bench.measure.certainty import SEED
from xqr_bench.measure.metrics import refuse_shallow
from xqr_bench.rank.counting import AUTO, LEAST_OF_BLOCK, PROCESSOR, counting_device, device_name, multiplications
from xqr_bench.rank.exact import ScoreBlock, exact_ranks, vector_scores
from xqr_bench.rank.index import Indexed, IndexOptions, indexed_ranks, refuse_too_deep, refuse_too_few
from xqr_bench.rank.index_store import check_place, save_index
from xqr_bench.rank.parts import pools_of, rank_by_parts
from xqr_bench.rank.product import DEFAULT_MEMORY
from xqr_bench.rank.quantize import QuantizationFacts, Quantized, QuantizeOptions
from xqr_bench.record import TextCounts
from xqr_bench.record.describe import language_diagnostics, representation_warnings, truncation_warnings
from xqr_bench.record.exposure import declared_exposure
from xqr_bench.record.provenance import exposure_of, training_of
from xqr_bench.tasks import Selection, TaskSpec, own_file


@checked
@dataclass
class VectorRanker:
    """Ranks by an encoder's vectors; each distinct text of all tasks is encoded once.

    Attributes:
        encoder: as `load_encoder` returns it.
        transform: what to do to the vectors before they are ranked; None: nothing.
        quantize: rank quantised vectors, after the transform; None: they stay float32.
        index: rank through FAISS indices of this kind; None: count exactly, without an index.
        index_folder: save the indices of the one task there.
        overwrite_index: replace the indices that the folder holds.
        allow_zero_vectors: score zero vectors as 0 instead of refusing them.
        memory: bytes to rank in, and of vectors that are held (see `embedder_of`); results do not depend on it.
        score_device: where scores are counted (see `device_for`); their last bits depend on it.
        store: where vectors are kept; None: every text is encoded.
    """

    encoder: BoundEncoder
    transform: TransformOptions | None = None
    quantize: QuantizeOptions | None = None
    index: IndexOptions | None = None
    index_folder: Path | None = None
    overwrite_index: bool = False
    allow_zero_vectors: bool = False
    memory: int = DEFAULT_MEMORY
    score_device: str = AUTO
    store: VectorStore | None = None

    def __post_init__(self) -> None:
        done = (self.transform, self.quantize, self.index)
        self.name = self.encoder.name + "".join(options.suffix for options in done if options is not None)
        refuse_together(self.transform, self.quantize, self.index, self.index_folder, self.score_device)

    @property
    def changed(self) -> bool:
        """Whether something is done to the vectors, or with them, that the encoder's identity does not say."""
        return any(done is not None for done in (self.index, self.transform, self.quantize))

    @property
    def identity(self) -> ModelIdentity:
        """That of the encoder; it knows the dimensions once something was encoded."""
        return self.encoder.identity

    @property
    def device(self) -> str | None:
        """That of the encoder."""
        return self.encoder.device

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Encode all tasks, then count in each.

        Raises:
            XqrBenchError: whatever is wrong with the encoder, its vectors, the transform or the index.
        """
        training = training_of(self.encoder.source)
        check_index(self.index, [task.spec for task in tasks], self.index_folder, overwrite=self.overwrite_index)
        datas = [task.data for task in tasks]
        if self.index is not None:  # before anything is encoded
            for data in datas:
                refuse_too_deep(self.index, data.column_sizes.tolist())
                for code, size in zip(data.languages, data.column_sizes.tolist(), strict=True):
                    refuse_too_few(self.index, size, code)
        self.check_device()
        embedder = embedder_of(
            self.encoder,
            transform=self.transform,
            allow_zero_vectors=self.allow_zero_vectors,
            store=self.store,
            memory=self.memory,
            observe=observe,
        )
        for task, vectors in zip(tasks, embedder.embed(datas), strict=True):
            data, clock = task.data, Clock(dict(vectors.seconds))
            encoded = vectors
            facts: dict[str, Any] = {}
            notes: tuple[str, ...] = ()
            if isinstance(vectors, TransformedEmbeddings):
                encoded, notes, facts["transform"] = vectors.encoded, vectors.warnings, vectors.facts
            scores: Scores = partial(_scores, vectors, self.encoder.similarity)
            counted_on = PROCESSOR
            with clock.phase("ranking"):
                if self.quantize is not None:
                    ranks, scores, facts["quantization"] = self._quantised(task, vectors, observe)
                    indexed = None
                else:
                    counted_on = self.device_for(task, vectors.candidates.shape[1])
                    ranks, indexed = self._count(task, vectors, counted_on, observe)
            if indexed is not None:
                facts["index"] = indexed.facts
                if self.index_folder is not None:
                    with clock.phase("saving the index"):
                        save_index(
                            self.index_folder,
                            indexed,
                            data,
                            self.encoder,
                            task_file=own_file(task.spec),
                            overwrite=self.overwrite_index,
                        )
            with clock.phase("diagnostics"):
                diagnostics = language_diagnostics(data, encoded, self.encoder)
            if self.encoder.declared is not None:
                facts["exposure"] = declared_exposure(self.encoder.declared, data.name)
            if training is not None:
                facts |= {"training": training.model_dump(mode="json"), "exposure": exposure_of(training, data)}
            yield Ranking(
                ranks,
                warnings=(
                    *self.encoder.warnings_for(data.name),
                    *truncation_warnings(diagnostics),
                    *representation_warnings(diagnostics),
                    *notes,
                ),
                diagnostics=diagnostics,
                facts=facts,
                settings=self.settings,
                seconds=clock.seconds,
                texts=TextCounts(distinct=vectors.distinct_texts, from_store=vectors.stored_texts),
                usage=self.encoder.usage,
                counted_on=device_name(counted_on),
                scores=scores,
            )

    def check_device(self) -> str:
        """Where a task is counted that is large enough.

        Raises:
            UsageError: there is no such device.
        """
        exact = self.index is None and self.quantize is None
        return counting_device(self.score_device, self.device) if exact else PROCESSOR

    def device_for(self, task: Task, dimensions: int) -> str:
        """Where a task is counted: on the device that was asked for, else on a GPU where that is worth it.

        Which depends on nothing but the task and its vectors, so that every shard of a run, and the same run on the
        same kind of machine, counts on the same.

        Args:
            task: the task.
            dimensions: columns of its vectors.

        Raises:
            UsageError: there is no such device.
        """
        device = self.check_device()
        return device if self.score_device != AUTO else where_worth_it(device, task, dimensions)

    def _quantised(self, task: Task, vectors: Embeddings, observe: Observer) -> tuple[Ranks, Scores, QuantizationFacts]:
        assert self.quantize is not None
        made = Quantized(
            vectors.queries,
            vectors.candidates,
            self.quantize,
            similarity=self.encoder.similarity,
            memory=self.memory,
        )
        return rank_by_parts(task.data, task.spec.settings, made.rank, observe), made.scores, made.facts()

    def _count(self, task: Task, vectors: Embeddings, device: str, observe: Observer) -> tuple[Ranks, Indexed | None]:
        both, how = (vectors.queries, vectors.candidates), self.encoder.similarity

        def exact(part: TaskData, queries: IntArray, candidates: IntArray, observe: Observer) -> Ranks:
            some = (vectors.queries[queries], vectors.candidates[candidates]) if part is not task.data else both
            return exact_ranks(part, *some, similarity=how, memory=self.memory, device=device, observe=observe)

        if self.index is None:
            return rank_by_parts(task.data, task.spec.settings, exact, observe), None
        indexed = indexed_ranks(task.data, *both, self.index, similarity=how, memory=self.memory, observe=observe)
        return indexed.ranks, indexed

    def rehearse(self, specs: Sequence[TaskSpec], select: Selection, observe: Observer) -> list[str]:
        """Read and check all data, encode the first question of each task, and tell what a run would do, in lines."""
        lines = []
        for spec in specs:
            with observe.phase("loading", 1):
                data = select.load(spec, observe)
                observe.advance(1)
            few = Selection(limit=1).load(data, observe)
            placed = in_context(data, self.encoder.identity.candidate_context)
            # twice: what is done at the first call alone, such as compiling, says nothing of the time that a run takes
            _, vectors = (embed_tasks(self.encoder, [few], observe=observe)[data.name] for _ in range(2))
            texts, tried = (
                distinct_texts(placed),
                distinct_texts(in_context(few, self.encoder.identity.candidate_context)),
            )
            line = (
                f"{data.name}: {len(data.languages)} languages, {len(data.queries):,} queries, "
                f"{len(data.candidates):,} candidates; about {len(texts):,} distinct texts to encode; "
                f"{vectors.distinct_texts} of them gave vectors of {vectors.queries.shape[1]} dimensions"
            )
            if vectors.distinct_texts:
                seconds = vectors.seconds["encoding"]
                minutes = seconds / sum(map(len, tried)) * sum(map(len, texts)) / 60
                line += f" in {seconds:.2f} s (at that rate by characters {minutes:.1f} min in all)"
            lines.append(line)
        return lines

    @property
    def settings(self) -> dict[str, Any]:
        """What is done to the vectors, defaults included."""
        transform, quantize, index = self.transform, self.quantize, self.index
        source = None if transform is None else transform.source
        return {
            "allow_zero_vectors": self.allow_zero_vectors,
            "memory": self.memory,
            "score_device": self.score_device,
            "batches": str(self.encoder.limits) if isinstance(self.encoder, TextEncoder) else None,
            "transform": None if transform is None else transform.name,
            "transform_from": None if source is None else str(source),
            "quantize": None if quantize is None else quantize.precision,
            "rescore": None if quantize is None else quantize.rescore,
            "index": None if index is None else {"type": index.type, **index.values, "depth": index.list_depth},
            "seed": SEED,
        }


def where_worth_it(device: str, task: Task, dimensions: int) -> str:
    """The device for a task that is large enough for it (see `LEAST_OF_BLOCK`), else the processor."""
    if device == PROCESSOR:
        return PROCESSOR
    pools = pools_of(task.data, task.spec.settings)
    sizes = [(len(pool.queries), len(pool.candidates)) for pool in pools]
    return device if multiplications(sizes, dimensions) >= LEAST_OF_BLOCK else PROCESSOR


def _scores(
    vectors: Embeddings, similarity: str, part: TaskData, queries: IntArray, candidates: IntArray
) -> Iterator[ScoreBlock]:
    some = (vectors.queries, vectors.candidates)
    if len(queries) < len(vectors.queries):  # else the part is the whole
        some = (vectors.queries[queries], vectors.candidates[candidates])
    return vector_scores(*some, similarity=similarity)


def refuse_together(
    transform: TransformOptions | None,
    quantize: QuantizeOptions | None,
    index: IndexOptions | None,
    index_folder: Path | None,
    score_device: str,
) -> None:
    """Refuse what cannot be done to vectors together; the arguments are those of `VectorRanker`.

    Raises:
        UsageError: two of them exclude each other.
    """
    if transform is not None and index_folder is not None:
        raise UsageError(
            "an index of transformed vectors cannot be saved", remedy="leave --transform or --save-index out"
        )
    if quantize is not None and index is not None:
        raise UsageError(
            "an index holds vectors of its own, and quantised ones are searched exactly",
            remedy="leave --quantize or --index out; --index ivfpq compresses too",
        )
    if quantize is not None and score_device not in (AUTO, PROCESSOR):
        raise UsageError(
            "quantised vectors are ranked on the processor", remedy="leave --quantize or --score-device out"
        )


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


def distinct_texts(data: TaskData) -> set[str]:
    """Each text of a task once."""
    return {query.text for query in data.queries} | {candidate.text for candidate in data.candidates}
