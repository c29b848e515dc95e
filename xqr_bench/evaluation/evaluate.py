"""evaluate(): the one loop from a ranker and tasks to records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize

from xqr_bench import __version__
from xqr_bench.core.checked import checked
from xqr_bench.core.collection import ids_of
from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.memory import give_back
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.encode import BoundEncoder, EncoderOptions, ModelIdentity, load_encoder
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.kinds import OtherKindError, OtherModel, class_of
from xqr_bench.encode.options import EncoderKindName
from xqr_bench.encode.precomputed import OPTIONS, PREFIX
from xqr_bench.evaluation import baselines, runs, score_files  # noqa: F401  (they register themselves)
from xqr_bench.evaluation.balanced import Balanced
from xqr_bench.evaluation.cross_encoder import CrossEncoderRanker
from xqr_bench.evaluation.fused import FUSE, Fused, named_parts, options_of_parts
from xqr_bench.evaluation.kinds import SparseRanker, late_ranker, sparse_ranker
from xqr_bench.evaluation.ranker import RANKERS, Ranker, Ranking, Task
from xqr_bench.evaluation.reranked import Reranked
from xqr_bench.evaluation.score_object import ScoreObject
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scored import scored
from xqr_bench.record import ModelInfo, Provenance, RanksInfo, Record, Result, load_record, provenance, ranks_digest
from xqr_bench.record.beside import settle
from xqr_bench.record.describe import relevance_info, task_info
from xqr_bench.record.model import TopInfo
from xqr_bench.record.top_file import TopCandidates
from xqr_bench.tasks import Selection, TaskSpec, resolve_task


@checked
def evaluate(
    ranker: str | object,
    tasks: Sequence[str | Path | TaskSpec | Task] = ("mini",),
    *,
    select: Selection | None = None,
    metrics: Sequence[str] | None = None,
    options: EncoderOptions | None = None,
    observe: Observer | None = None,
    arguments: Mapping[str, Any] | None = None,
    intervals: bool = True,
) -> list[Result]:
    """Rank tasks and score the rankings.

    Args:
        ranker: a `Ranker`, a loaded encoder, or whatever `opened` takes.
        tasks: names, paths or specs, or `Task`s, whose data was read before. Rules of relevance that a spec does not
            declare, and metrics that are not asked for, cost nothing.
        select: which part of those that are read here; default: all.
        metrics: compute these instead of the metrics of the tasks.
        options: see `opened`.
        observe: hears how far the work is.
        arguments: the arguments as the user gave them, for the records.
        intervals: whether figures get intervals, which take most of the time of scoring.

    Returns:
        one record for each task, in order, with its ranks.

    Raises:
        XqrBenchError: whatever is wrong with the arguments, the data or the ranker.
    """
    select, observe, clock = select or Selection(), observe or Observer(), Clock()
    named = [
        replace(task, spec=choose_metrics(task.spec, metrics))
        if isinstance(task, Task)
        else choose_metrics(resolve_task(task), metrics)
        for task in tasks
    ]
    with opened(ranker, options) as chosen:
        with clock.phase("loading"), observe.phase("loading", len(named)):
            loaded = []
            for one in named:
                loaded.append(one if isinstance(one, Task) else Task(one, select.load(one, observe)))
                observe.advance(1)
        asked = {**select.as_dict(), "metrics": None if metrics is None else list(metrics)}
        records = []
        for one, task, ranking in zip(named, loaded, chosen.rank(loaded, observe), strict=True):
            records.append(
                _result(
                    task,
                    ranking,
                    chosen,
                    clock=Clock({**clock.seconds, **ranking.seconds}),
                    settings=ranking.settings if one is task else {**asked, **ranking.settings},
                    arguments=arguments or {},
                    intervals=intervals,
                )
            )
            observe.made(records[-1])
    return records


_FOLLOWS = ("counts", "n_questions", "n_articles")  # from the files, the languages and the part
REPLACE = "give --overwrite to replace it, or another --name or --output to keep both"
_DONE_TO_VECTORS = ("transform", "quantize", "rescore", "index", "allow_zero_vectors")
_WHOLE, _SHORT = "whole", "the short form of a submission"


def answered(path: Path, ranker: Ranker, task: Task) -> Result | None:
    """The record at `path`, with its ranks, which answers what is asked now; None: there is no record.

    It does if name and encoder, the data and the part of it, settings, metrics and rules of relevance, what is done to
    the vectors and the version of xqr-bench are the same.

    Args:
        path: where a record of this name would stand.
        ranker: what is asked to rank.
        task: as it would be scored.

    Raises:
        RecordError: the record answers another request (the message says in what), or cannot be read.
    """
    if not path.exists():
        return None
    vectors = _vectors_of(ranker)
    transform = None if vectors is None else vectors.transform
    try:
        there = load_record(path, ranks=True)
    except RecordError as error:
        raise RecordError(f"{path} exists and cannot be read as a record", found=error.fault, remedy=REPLACE) from error
    spec = task.spec
    if ranker.identity.kind == "run":  # which of the settings it has is known only once it is read
        spec = spec.model_copy(update={"settings": tuple(there.task.settings)})
    identity = ranker.identity.learnt(there.model.identity)
    doing: Mapping[str, Any] = getattr(ranker if vectors is None else vectors, "settings", {})
    was, now = _facts(there.model.identity), _facts(identity)
    said, info = there.provenance.settings, task_info(spec, task.data)
    bitext = None if there.transform is None else there.transform.bitext
    now_bitext = None if transform is None else transform.bitext_digest(task.data.languages)
    pairs: dict[str, tuple[object, object]] = {
        # `a:b` and `a b` have one folder
        "the record's name": (normalize("NFC", there.model.name), normalize("NFC", ranker.name)),
        **{f"the encoder's {key}": (was.get(key), now.get(key)) for key in {**was, **now}},
        **{f"the task's {key}": (value, getattr(info, key)) for key, value in there.task if key not in _FOLLOWS},
        "the task's metrics": (sorted(there.task.metrics), sorted(info.metrics)),
        "rules of relevance": (sorted(there.relevance), sorted(spec.relevance)),
        **{key: (said.get(key), doing.get(key)) for key in _DONE_TO_VECTORS},
        "translated sentences": (bitext and bitext.digest, now_bitext),
        "form of the record": (_SHORT if there.short else _WHOLE, _WHOLE),
        "intervals": (there.task.n_questions < 2 or _has_intervals(there), True),
        "version of xqr-bench": (there.provenance.code_version, __version__),
    }
    refuse_another(path, pairs, REPLACE)
    settle(there, path)
    return there


def _vectors_of(ranker: Ranker) -> VectorRanker | None:
    """What ranks vectors first, where the settings of a record are its own: a fusion has several."""
    while isinstance(ranker, Balanced | Reranked):
        ranker = ranker.ranker if isinstance(ranker, Balanced) else ranker.first
    return ranker if isinstance(ranker, VectorRanker) else None


def _facts(identity: ModelIdentity) -> dict[str, object]:
    """What an identity holds by name, and what those that it is made of do: `depth`, `part 1's digest`."""
    made_of = identity.fusion or identity.reranking
    facts = {key: value for key, value in identity if key not in ("fusion", "reranking")}
    facts |= {key: value for key, value in made_of or () if key not in ("parts", "first", "second")}
    for number, part in enumerate(identity.parts, 1):
        facts |= {f"part {number}'s {key}": value for key, value in _facts(part).items()}
    return facts


def _has_intervals(record: Record) -> bool:
    figures = (figure for scores in record.scores.values() for _, _, _, figure in scores.items())
    return any(figure.interval is not None for figure in figures)


def refuse_another(path: Path, pairs: Mapping[str, tuple[object, object]], remedy: str) -> None:
    """Check that results are those of what is asked now: what each fact was then, and what it is now.

    Raises:
        RecordError: a fact is another; the message names it.
    """
    other = [f"{name}: {was!s:.60}, now {now!s:.60}" for name, (was, now) in pairs.items() if was != now]
    if other:
        raise RecordError(f"{path} answers another request than this one", found="; ".join(other), remedy=remedy)


@contextmanager
def opened(ranker: str | object, options: EncoderOptions | None = None) -> Iterator[Ranker]:
    """The ranker that something names or is, for as long as the block lasts.

    Args:
        ranker: a `Ranker`; a loaded encoder; a MODEL string as on the command line; or any object with an encode
            method (see `Encoder`), or else with `score(queries, candidates)`. What is loaded here is closed afterwards.
        options: how to load and use an encoder, or the name of another ranker.

    Raises:
        UsageError: an option that means nothing to it.
        XqrBenchError: it cannot be loaded.
    """
    if isinstance(ranker, str) and ranker.startswith(FUSE):
        with opened_fusion(ranker, options) as fused:
            yield fused
        return
    # of the class: there are objects that have any attribute; and a CrossEncoder has a method of this name
    ranks = class_of(ranker) is None and callable(getattr(type(ranker), "rank", None))
    there = cast("Ranker", ranker) if ranks else _registered(ranker, options or EncoderOptions())
    if there is not None:
        refuse_unreadable(there.name, "the ranker's name", "give it one that can be read on one line: --name NAME")
        yield there
        return
    encoder = _encoder(ranker, options)
    try:
        if isinstance(encoder, TextEncoder) and encoder.sparse:
            yield SparseRanker(encoder)
        else:
            yield VectorRanker(encoder) if isinstance(encoder, BoundEncoder) else encoder
    finally:
        if encoder is not ranker and hasattr(encoder, "close"):
            encoder.close()


@contextmanager
def opened_fusion(
    models: str,
    options: EncoderOptions | None = None,
    *,
    k: int | None = None,
    weights: Sequence[float] | None = None,
    revisions: Sequence[str | None] = (),
) -> Iterator[Fused]:
    """The fusion of several rankers, for as long as the block lasts.

    Args:
        models: `fuse:METHOD MODEL MODEL ...`, written as for a shell.
        options: for all models that take them, and the name of the fusion.
        k: of rrf.
        weights: of each model.
        revisions: of hub models, in the order of the models; empty: the newest.

    Raises:
        UsageError: an option that would be another for each model, or means nothing to any.
        XqrBenchError: a model cannot be loaded, or has no scores to fuse.
    """
    options = options or EncoderOptions()
    method, names = named_parts(models)
    each = options_of_parts(names, options)
    if revisions:
        each = [replace(one, revision=revision) for one, revision in zip(each, revisions, strict=True)]
    with ExitStack() as stack:
        rankers = [stack.enter_context(opened(name, one)) for name, one in zip(names, each, strict=True)]
        yield Fused(rankers, method, k, weights, options.name or "")


OF_MODELS: dict[EncoderKindName, Callable[[OtherModel, EncoderOptions], Ranker]] = {
    "sparse-encoder": sparse_ranker,
    "multi-vector-encoder": late_ranker,
    "cross-encoder": CrossEncoderRanker,
    "python": ScoreObject,
}
"""Kind of a model without dense vectors -> the ranker that it is loaded as, with options that are followed or refused;
they have their line breaks."""


def _encoder(model: object, options: EncoderOptions | None) -> BoundEncoder | Ranker:
    """What loads as an encoder, or the ranker of a model of another kind."""
    try:
        return load_encoder(model, options, other_names=RANKERS.names())
    except OtherKindError as error:
        other = error.model
    return OF_MODELS[other.kind](other, (options or EncoderOptions()).with_line_breaks())


def described_rankers() -> dict[str, str]:
    """Name -> what a ranker without an encoder is, in a line; of a plugin the distribution that brings it."""
    origins = RANKERS.origins()
    return {
        name: (RANKERS.get(name).__doc__ or "").partition("\n")[0] if origin == "built in" else origin
        for name, origin in origins.items()
    }


def _registered(model: object, options: EncoderOptions) -> Ranker | None:
    """The ranker that a MODEL string names, such as `bm25`, `random:3` or `run:DIR`; None: it names an encoder."""
    family, _, argument = (str(model) if isinstance(model, str | Path) else "").partition(":")
    if family not in RANKERS:
        return None
    refuse_options(str(model), options)
    ranker = RANKERS.get(family)(argument)
    if options.name is not None:
        ranker.name = options.name
    return ranker


def refuse_options(model: str, options: EncoderOptions) -> None:
    """Refuse, before anything is loaded, options that mean nothing to what the form of a MODEL string tells.

    Raises:
        UsageError: one was given.
    """
    family = model.partition(":")[0]
    if model.startswith(FUSE):
        options_of_parts(named_parts(model)[1], options)
    elif family in RANKERS:
        options.refuse_all_but(f"{'a ' if family == 'run' else ''}{family}", frozenset({"name"}))
    elif model.startswith(PREFIX):
        options.refuse_all_but("precomputed vectors", OPTIONS)


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


def _result(
    task: Task,
    ranking: Ranking,
    ranker: Ranker,
    *,
    clock: Clock,
    settings: Mapping[str, Any],
    arguments: Mapping[str, Any],
    intervals: bool,
) -> Result:
    """Score a ranking and put the record together, with its ranks; the time of scoring is added to the clock's."""
    spec, ranks = task.spec, ranking.ranks
    if ranking.scored_settings is not None:
        spec = spec.model_copy(update={"settings": ranking.scored_settings})
    info = task_info(spec, task.data)
    top = TopCandidates.of(ranks, ids_of(task.data.candidates))
    if not any(parse_metric(name).needs_hits for name in info.metrics):
        ranks = replace(ranks, hits=None)  # ranks hold what figures follow from
    give_back()  # the blocks of scores
    scores, of_scores = scored(ranks, info.metrics, info.settings, info.groups, intervals=intervals, clock=clock)
    give_back()
    relevance = {}
    with clock.phase("relevance"):
        for name in spec.relevance:
            relevance[name] = relevance_info(name, ranks, info, task.data)
            give_back()
    hardware = provenance.hardware(ranker.device)
    if ranking.counted_on is not None:
        hardware["counted_on"] = ranking.counted_on
    return Result(
        task=info,
        model=ModelInfo(name=ranker.name, identity=ranker.identity),
        scores=scores,
        relevance=relevance,
        diagnostics=dict(ranking.diagnostics),
        warnings=[*ranking.warnings, *of_scores],
        ranks_file=RanksInfo.of(ranks, ranks_digest(ranks)),
        top_file=None if top is None else TopInfo(file=None, digest=top.digest()),
        provenance=Provenance(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance.versions(),
            hardware=hardware,
            arguments=dict(arguments),
            settings=dict(settings),
            seconds=clock.seconds,
            texts=ranking.texts,
            endpoint=ranking.usage,
        ),
        **ranking.facts,
        ranks=ranks,
        top=top,
    )
