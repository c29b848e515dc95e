"""`xqr-bench evaluate`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import click

from xqr_bench.cli.common import Session
from xqr_bench.cli.options import (
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
from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import SectionOption, Sections, flag, takes
from xqr_bench.encode import EncoderOptions
from xqr_bench.tasks import Selection

if TYPE_CHECKING:
    from xqr_bench.encode import VectorStore
    from xqr_bench.evaluation.ranker import Ranker, Rehearsing


def _size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from xqr_bench.encode.store import parse_size

    return None if value is None else parse_size(value)


@dataclass(frozen=True, kw_only=True)
class Evaluation(Store, Index, Quantize, Transform, Fuse, Rerank, TrecRun, Records):
    """An evaluation of an encoder.

    Attributes:
        dry_run: Check data and encoder on a few texts; write nothing.
        allow_zero_vectors: Score zero vectors as 0 and count them.
        score_device: Where scores are counted: cpu, cuda, cuda:1. Default: the encoder's GPU; for vectors made before,
            any GPU.
        balanced: Merge the lists of single languages in turn, as a reference without preference (docs/bias.md); the
            record is called "NAME, balanced".

    Raises:
        UsageError: options that contradict each other.
    """

    section: ClassVar = "The run"

    dry_run: bool = False
    allow_zero_vectors: bool = False
    score_device: str | None = None
    balanced: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
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


@click.command(cls=Sections, first=FIRST)
@click.argument("model", nargs=-1, required=True, metavar="MODEL...")
@takes(asked=Evaluation, select=Selection, encoder=EncoderOptions)
@backend_option
@click.option(
    "--memory",
    cls=SectionOption,
    section="The run",
    metavar="SIZE",
    callback=_size,
    help="To rank in, beside the vectors, or for a call of score(): such as 256MiB (the default) or 2GB. Of late "
    "interaction: for the vectors of tokens, beyond which they stand in a file (default: 2GiB).",
)
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    model: tuple[str, ...],
    asked: Evaluation,
    select: Selection,
    encoder: EncoderOptions,
    memory: int | None,
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
    from xqr_bench.evaluation.balanced import Balanced
    from xqr_bench.evaluation.evaluate import opened, opened_fusion
    from xqr_bench.evaluation.fused import FUSE
    from xqr_bench.evaluation.kinds import LateRanker
    from xqr_bench.evaluation.reranked import DEPTH, Reranked
    from xqr_bench.evaluation.score_object import ScoreObject
    from xqr_bench.evaluation.vectors import VectorRanker, check_index

    session = Session(asked, select)
    transform, quantize, index = asked.chosen_transform(), asked.chosen_quantize(), asked.chosen_index()
    for spec in session.specs if index is not None else ():
        check_index(index, [spec], asked.save_index, overwrite=asked.overwrite)
    store = asked.chosen_store()
    unkept = {"full", *(field.name for field in fields(Store))}
    text = asked.chosen_model(model)
    arguments = {"model": text, **{name: value for name, value in given(ctx).items() if name not in {*unkept, "model"}}}
    if encoder.encoder_arg:
        arguments["encoder_arg"] = dict(encoder.encoder_arg)  # as it was read
    if asked.rerank_arg:
        arguments["rerank_arg"] = dict(asked.rerank_arg)
    second_options = asked.reranker_options()
    first_options = encoder if asked.rerank is None else replace(encoder, name=None)  # the name is that of the whole
    with ExitStack() as stack:
        ranker: Ranker
        if text.startswith(FUSE):
            k, weights = asked.fuse_k, asked.fuse_weights
            ranker = stack.enter_context(opened_fusion(text, first_options, k=k, weights=weights)).with_store(store)
        else:
            ranker = stack.enter_context(opened(text, first_options))
        if isinstance(ranker, VectorRanker):
            ranker = replace(
                ranker,
                transform=transform,
                quantize=quantize,
                index=index,
                index_folder=asked.save_index,
                overwrite_index=asked.overwrite,
                allow_zero_vectors=asked.allow_zero_vectors,
                score_device=asked.score_device or "auto",
                store=store,
                memory=ranker.memory if memory is None else memory,
            )
        else:
            if isinstance(ranker, ScoreObject) and memory is not None:
                ranker.allow(memory)
                memory = None
            if isinstance(ranker, LateRanker) and memory is not None:
                ranker.memory, memory = memory, None
            _refuse_options_of_vectors(text, ranker, asked, memory)
        if asked.rerank is not None:
            second = stack.enter_context(opened(asked.rerank, second_options))
            if isinstance(second, VectorRanker):
                second = replace(second, store=store)
            ranker = Reranked(
                ranker,
                second,
                depth=asked.rerank_depth or DEPTH,
                pool=asked.chosen_pool(),
                add_relevants=asked.rerank_add_relevants,
                name=encoder.name or "",
            )
        _tell_what_runs(session, ranker, store)
        if asked.dry_run:
            session.rehearse(cast("Rehearsing", ranker))
            return
        session.evaluate(Balanced(ranker) if asked.balanced else ranker, arguments)
        if asked.save_index is not None:
            session.say(f"index: {asked.save_index}")


def _tell_what_runs(session: Session, ranker: Ranker, store: VectorStore | None) -> None:
    """Name the models and what should be known of them before they run; the scores of pairs are kept in the store."""
    from xqr_bench.evaluation.cross_encoder import CrossEncoderRanker
    from xqr_bench.evaluation.kinds import TextRanker
    from xqr_bench.evaluation.ranker import stages_of
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
        session.say(f"{what} {model.name}" + (f" on {model.device}" if model.device else ""))
        if model.hint is not None:
            session.say(model.hint)


def _refuse_options_of_vectors(model: str, ranker: Ranker, asked: Evaluation, memory: int | None) -> None:
    from xqr_bench.evaluation.ranker import Rehearsing

    family = model.partition(":")[0]
    options = {**vars(asked), "memory": memory}
    names = ["allow_zero_vectors", "transform", "quantize", "index", "memory", "score_device"]
    names += ["trec_run"] if family == "run" else []  # it is one
    names += [] if isinstance(ranker, Rehearsing) or asked.rerank is not None else ["dry_run"]
    wrong = [flag(name) for name in names if options[name]]
    if wrong:
        what = "a run" if family == "run" else family
        raise UsageError(f"{', '.join(wrong)} cannot be used with {what}", remedy="leave it out")
