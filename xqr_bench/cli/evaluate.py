"""`xqr-bench evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import click

from xqr_bench.cli.common import Session
from xqr_bench.cli.options import (
    Engine,
    Fuse,
    Index,
    Quantize,
    Records,
    Rerank,
    Store,
    Transform,
    TrecRun,
    backend_option,
    given,
)
from xqr_bench.cli.sharded import NOT_DONE, do_shard, patience, share
from xqr_bench.core.errors import UsageError
from xqr_bench.core.folder import is_url
from xqr_bench.core.options import Option, Sections, flag, takes
from xqr_bench.encode import EncoderOptions
from xqr_bench.tasks import Selection

if TYPE_CHECKING:
    from xqr_bench.encode import VectorStore
    from xqr_bench.evaluation.ranker import Ranker, Rehearsing
    from xqr_bench.tasks import TaskSpec


_UNDEALT = ("dry_run", "balanced", "rerank", "trec_run", "save_index")
"""What is asked of a whole evaluation only."""
_OF_RECORDS = ("overwrite", "full", "as_json")
"""What is done with the records, which `merge` makes."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(Engine, Store, Index, Quantize, Transform, Fuse, Rerank, TrecRun, Records):
    """An evaluation of an encoder.

    Attributes:
        dry_run: Check data and encoder on a few texts; write nothing.
        allow_zero_vectors: Score zero vectors as 0 and count them.
        score_device: Where scores are counted: cpu, cuda, cuda:1. Default: for tasks from some 36,000 candidates of
            384 columns on the encoder's GPU, for vectors made before any GPU; for smaller ones the processor, which is
            faster (docs/scale.md).
        balanced: Merge the lists of single languages in turn, as a reference without preference (docs/bias.md); the
            record is called "NAME, balanced".
        shard: Do one part of the work, such as 2/3, and leave it in --output, a folder or a URL such as s3://…, for
            `xqr-bench merge` (docs/scale.md). The same command goes on after what was done, with the vectors that the
            embedding store has; where it has to wait for other shards, its exit status is 75.
        wait: Of --shard: go on as soon as the other shards have done what is needed, until none has done anything for
            so many seconds.
        memory: To rank in, and for vectors, beyond which they stand in a file; or for a call of score(): such as 256MiB
            (the default) or 2GB. Of late interaction: for the vectors of tokens (default: 2GiB).

    Raises:
        UsageError: options that contradict each other.
    """

    section: ClassVar = "The run"

    dry_run: bool = False
    allow_zero_vectors: bool = False
    score_device: str | None = None
    balanced: bool = False
    shard: Annotated[tuple[int, int] | None, Option(metavar="I/N", parse=share)] = None
    wait: Annotated[float | None, Option(metavar="SECONDS", parse=patience)] = None
    memory: Annotated[str | None, Option(metavar="SIZE")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shard is None and self.wait is not None:
            raise UsageError("--wait is given without --shard", remedy="say which shard: --shard 1/2")
        for names, remedy in (
            (_UNDEALT, "evaluate it in one process, without --shard"),
            (_OF_RECORDS, "leave it out, and give it to `xqr-bench merge`, which writes and prints the records"),
        ):
            undealt = [flag(name.removeprefix("as_")) for name in names if getattr(self, name) not in (None, False)]
            if self.shard is not None and undealt:
                raise UsageError(f"{', '.join(undealt)} cannot be used with --shard", remedy=remedy)
        if self.dry_run and self.as_json:
            raise UsageError("--dry-run makes no record to print as JSON", remedy="leave --dry-run or --json out")
        if self.index is not None and self.score_device not in (None, "auto", "cpu"):
            raise UsageError("an index is searched on the processor", remedy="leave --index or --score-device out")
        if self.index is not None and self.balanced:
            raise UsageError("--balanced needs the scores of all candidates", remedy="leave --index or --balanced out")
        if self.index is not None and self.rerank is not None:
            raise UsageError("--rerank needs the scores of all candidates", remedy="leave --index or --rerank out")
        if self.index is not None and self.trec_run is not None:
            raise UsageError(
                "--trec-run writes the exact ranking, not that of an approximate index",
                remedy="leave --index or --trec-run out",
            )

    def checks(self) -> list[Callable[[], object]]:
        """What can be checked without MODEL: each raises a UsageError where it cannot be meant."""
        return [
            self.chosen_transform,
            self.chosen_quantize,
            self.chosen_index,
            self.chosen_memory,
            self.chosen_store,
            self.chosen_engine,
            self.reranker_options,
        ]

    def chosen_memory(self) -> int | None:
        """Bytes to rank in; None: the default.

        Raises:
            UsageError: it is no size.
        """
        from xqr_bench.encode.store import parse_size

        return None if self.memory is None else parse_size(self.memory, "--memory: ")


_IN_ONE_PLACE = ("shard", "dry_run", "balanced", "rerank", "trec_run", "transform", "quantize", "index", "save_index")
"""What needs the encoder, all vectors or all scores in one place."""

FIRST = [
    "--task",
    "--output",
    "--query-prompt",
    "--candidate-prompt",
    "--device",
    "--batch-size",
    "--name",
    "--limit",
    "--dry-run",
    "--full",
]
"""What most users need first."""


@dataclass(frozen=True)
class Request:
    """What one MODEL is asked for, by the command line of `evaluate` or by a file of `run`.

    Attributes:
        models: MODEL; of a fusion, `fuse:METHOD` and its models.
        asked: what is done with it.
        encoder: how it is loaded.
    """

    models: tuple[str, ...]
    asked: Evaluation
    encoder: EncoderOptions

    @cached_property
    def model(self) -> str:
        """MODEL as one text, a fusion as for a shell."""
        return self.asked.chosen_model(self.models)

    @cached_property
    def store(self) -> VectorStore | None:
        """Where vectors are kept."""
        return self.asked.chosen_store()

    def checks(self, specs: Sequence[TaskSpec]) -> list[Callable[[], object]]:
        """All that can be checked before anything is loaded: each raises a UsageError where it cannot be meant."""
        from xqr_bench.evaluation.evaluate import refuse_options

        asked = self.asked
        return [
            *asked.checks(),
            partial(self._check_vectors, specs),
            lambda: self.model,
            lambda: refuse_options(self.model, self.encoder),
            self._check_ranker,
            self._refuse_undealt,
        ]

    def _check_vectors(self, specs: Sequence[TaskSpec]) -> None:
        from xqr_bench.evaluation.vectors import check_index, refuse_together

        asked = self.asked
        index, device = asked.chosen_index(), asked.score_device or "auto"
        transform = asked.chosen_transform()
        for spec in specs if index is not None else ():
            check_index(index, [spec], asked.save_index, overwrite=asked.overwrite)
        if transform is not None:
            for spec in specs:
                transform.check_languages(spec.name, spec.all_languages)
        refuse_together(transform, asked.chosen_quantize(), index, asked.save_index, device)

    def _check_ranker(self) -> None:
        from xqr_bench.evaluation.ranker import RANKERS

        if self.model.partition(":")[0] in RANKERS:
            _refuse_options_of_vectors(self.model, self.asked, self.asked.chosen_memory())

    def _refuse_undealt(self) -> None:
        """Check that nothing is asked that needs the encoder, all vectors or all scores in one place.

        Raises:
            UsageError: something is.
        """
        engine = self.asked.chosen_engine()
        if engine is None:
            return
        alone = "leave it out, or evaluate in one process, without --engine"
        given = [flag(name) for name in _IN_ONE_PLACE if getattr(self.asked, name) not in (None, False)]
        if self.model.startswith("fuse:"):
            given.append(self.model.partition(" ")[0])
        if given:
            raise UsageError(f"{', '.join(given)} cannot be used with --engine ray", remedy=alone)
        from xqr_bench.evaluation.ray_workers import one_worker_each

        one_worker_each(engine, self.encoder.device)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that the user gave, as a record keeps them."""
        unkept = {"full", "model", *(field.name for field in fields(Store))}
        arguments = {"model": self.model, **{name: value for name, value in given.items() if name not in unkept}}
        if self.encoder.encoder_arg:
            arguments["encoder_arg"] = dict(self.encoder.encoder_arg)  # as it was read
        if self.asked.rerank_arg:
            arguments["rerank_arg"] = dict(self.asked.rerank_arg)
        return arguments

    @contextmanager
    def loaded(self) -> Iterator[Ranker]:
        """What MODEL names, loaded for as long as the block lasts; requests that differ in `asked` alone may share it.

        Raises:
            XqrBenchError: it cannot be loaded.
        """
        from xqr_bench.evaluation.evaluate import opened, opened_fusion
        from xqr_bench.evaluation.fused import FUSE

        asked = self.asked
        # of two stages the name is that of the whole
        options = self.encoder if asked.rerank is None else replace(self.encoder, name=None)
        engine = asked.chosen_engine()
        with ExitStack() as stack:
            if engine is not None:
                from xqr_bench.evaluation.ray_ranker import ray_ranker

                workers = ray_ranker(self.model, options, engine, exchange=asked.exchange)
                yield stack.enter_context(workers)
            elif self.model.startswith(FUSE):
                fused = opened_fusion(self.model, options, k=asked.fuse_k, weights=asked.fuse_weights)
                yield stack.enter_context(fused).with_store(self.store)
            else:
                yield stack.enter_context(opened(self.model, options))

    @contextmanager
    def ranker(self, loaded: Ranker) -> Iterator[Ranker]:
        """What ranks as is asked: what was loaded, with the options, and a second stage, which the block keeps open.

        Raises:
            XqrBenchError: an option that means nothing to it, or a second stage that cannot be loaded.
        """
        from xqr_bench.evaluation.balanced import Balanced
        from xqr_bench.evaluation.evaluate import opened
        from xqr_bench.evaluation.kinds import LateRanker
        from xqr_bench.evaluation.ranker import Rehearsing
        from xqr_bench.evaluation.reranked import DEPTH, Reranked
        from xqr_bench.evaluation.score_object import ScoreObject
        from xqr_bench.evaluation.vectors import VectorRanker

        asked, memory, ranker = self.asked, self.asked.chosen_memory(), loaded
        with ExitStack() as stack:
            if isinstance(ranker, VectorRanker):
                ranker = replace(
                    ranker,
                    transform=asked.chosen_transform(),
                    quantize=asked.chosen_quantize(),
                    index=asked.chosen_index(),
                    index_folder=asked.save_index,
                    overwrite_index=asked.overwrite,
                    allow_zero_vectors=asked.allow_zero_vectors,
                    score_device=asked.score_device or "auto",
                    store=self.store,
                    memory=ranker.memory if memory is None else memory,
                )
            else:
                if isinstance(ranker, ScoreObject) and memory is not None:
                    ranker.allow(memory)
                    memory = None
                if isinstance(ranker, LateRanker) and memory is not None:
                    ranker.memory, memory = memory, None
                rehearses = isinstance(ranker, Rehearsing) or asked.rerank is not None
                _refuse_options_of_vectors(self.model, asked, memory, rehearses=rehearses)
            if asked.rerank is not None:
                second = stack.enter_context(opened(asked.rerank, asked.reranker_options()))
                if isinstance(second, VectorRanker):
                    second = replace(second, store=self.store)
                ranker = Reranked(
                    ranker,
                    second,
                    depth=asked.rerank_depth or DEPTH,
                    pool=asked.chosen_pool(),
                    add_relevants=asked.rerank_add_relevants,
                    name=self.encoder.name or "",
                )
            yield Balanced(ranker) if asked.balanced and not asked.dry_run else ranker  # it rehearses nothing more


@click.command(cls=Sections, first=FIRST)
@click.argument("model", nargs=-1, required=True, metavar="MODEL...")
@takes(asked=Evaluation, select=Selection, encoder=EncoderOptions)
@backend_option
@click.pass_context
def evaluate(
    ctx: click.Context, /, model: tuple[str, ...], asked: Evaluation, select: Selection, encoder: EncoderOptions
) -> None:
    """Score the encoder MODEL: monolingual, cross-lingual, multilingual, bias.

    fuse:rrf MODEL MODEL ... scores the rankings of several as one, fuse:combsum their scores (docs/rankers.md).

    MODEL is a sentence-transformers name or folder, of a dense model, SparseEncoder, MultiVectorEncoder (late
    interaction) or CrossEncoder; char-ngrams (built in, no download); package.module:Object or file.py:Object, with
    methods of its own or of another library (docs/encoders.md), or with score(queries, candidates)
    where it has no vectors (docs/rankers.md); an installed plugin; mteb:ORG/MODEL, of mteb's registry; precomputed:DIR;
    http://HOST/v1 --model NAME, a server for embeddings; or a ranking without an encoder: scores:DIR (matrices) or
    run:DIR (TREC runs), made elsewhere, bm25, random:SEED or oracle. A CrossEncoder scores all pairs of a small task;
    with --rerank it ranks the top of another MODEL again (docs/reranking.md).
    `xqr-bench encoders` lists encoders.
    """
    output: str = ctx.params["output"]  # a URL is no path
    if asked.shard is None and is_url(output):
        raise UsageError(f"--output {output} is no folder", remedy="name a folder; --shard alone takes a URL")
    session, request = Session(asked, select), Request(model, asked, encoder)
    for check in request.checks(session.specs):
        check()
    if asked.engine is not None:
        session.say("starting workers on Ray")
    with request.loaded() as loaded, request.ranker(loaded) as ranker:
        tell_what_runs(session, ranker, request.store)
        if asked.shard is not None:
            arguments = request.arguments(given(ctx))
            if not do_shard(session, ranker, asked, asked.shard, asked.wait, output, arguments):
                ctx.exit(NOT_DONE)
            return
        if asked.dry_run:
            session.rehearse(cast("Rehearsing", ranker))
            return
        session.evaluate(ranker, request.arguments(given(ctx)))
        if asked.save_index is not None:
            session.say(f"index: {asked.save_index}")


def tell_what_runs(session: Session, ranker: Ranker, store: VectorStore | None) -> None:
    """Name the models and what should be known of them before they run; the scores of pairs are kept in the store."""
    from xqr_bench.evaluation.cross_encoder import CrossEncoderRanker
    from xqr_bench.evaluation.kinds import TextRanker
    from xqr_bench.evaluation.ranker import stages_of
    from xqr_bench.evaluation.ray_ranker import RayRanker
    from xqr_bench.evaluation.vectors import VectorRanker

    for one in stages_of(ranker):
        model: Any
        if isinstance(one, CrossEncoderRanker):
            one.model.store = store
            what, model = "CrossEncoder", one.model
        elif isinstance(one, VectorRanker | TextRanker):
            what, model = "encoder", one.encoder
        else:
            continue
        workers = f", {one.workers.number:,} workers" if isinstance(one, RayRanker) else ""
        session.say(f"{what} {model.name}" + (f" on {model.device}" if model.device else "") + workers)
        if model.hint is not None:
            session.say(model.hint)


def _refuse_options_of_vectors(model: str, asked: Evaluation, memory: int | None, *, rehearses: bool = True) -> None:
    family = model.partition(":")[0]
    options = {**vars(asked), "memory": memory}
    names = ["allow_zero_vectors", "transform", "quantize", "index", "memory", "score_device"]
    names += ["trec_run"] if family == "run" else []  # it is one
    names += [] if rehearses else ["dry_run"]
    wrong = [flag(name) for name in names if options[name]]
    if wrong:
        what = "a run" if family == "run" else family
        raise UsageError(f"{', '.join(wrong)} cannot be used with {what}", remedy="leave it out")
