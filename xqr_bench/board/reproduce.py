"""Run the encoder of a record again, and say how far the ranks agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xqr_bench.board.asked import Rerun, Witness
from xqr_bench.board.attestation import (
    MOVED_SHARE,
    RANK_SLACK,
    RANK_SLACK_SHARE,
    SCORE_DIFFERENCE,
    WITHOUT_ENCODER,
    Attestation,
    Differences,
    Tolerance,
    check_named,
    identity_differences,
    public_key,
    record_digest,
    refuse_unrepeatable,
    secret_key,
    why_unrepeatable,
    write_attestation,
)
from xqr_bench.board.files import MAX_RECORD, attestation_path, check_file, max_ranks, read_json
from xqr_bench.board.row import study_command
from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.files import refuse_unwritable
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import FloatArray, Ranks
from xqr_bench.encode import EncoderOptions, ModelIdentity, VectorStore
from xqr_bench.encode.kinds import KINDS
from xqr_bench.encode.options import OF_ENDPOINTS, Reranking
from xqr_bench.encode.providers import OTHER_KEY, PROVIDERS, is_endpoint, key_variable
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.encode.trust import options_from_file, refuse_code
from xqr_bench.evaluation.baselines import baseline_of
from xqr_bench.evaluation.evaluate import evaluate, opened, opened_fusion
from xqr_bench.evaluation.fused import FUSE, named_parts
from xqr_bench.evaluation.ranker import Ranker
from xqr_bench.evaluation.reranked import Reranked
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.rank.quantize import QuantizeOptions
from xqr_bench.record import Record, Result, load_record, provenance, ranks_digest, shortened
from xqr_bench.record.beside import file_beside
from xqr_bench.tasks import Selection, load_spec
from xqr_bench.tasks.find import load_shipped


class Reproduced(NamedTuple):
    """What came out."""

    found: Differences
    tolerance: Tolerance
    identity: list[str]
    """What differs between the encoder that was run and the record's."""
    written: Path | None
    """The attestation file, where one was written."""
    why_not: str | None
    """Why none was written."""

    @property
    def within(self) -> bool:
        """Whether the tolerance was kept."""
        return self.found.within(self.tolerance)

    def summary(self) -> list[str]:
        """Lines that tell how the two evaluations differ."""
        differ, allowed = self.found, self.tolerance
        return [
            f"{differ.identical:,} of {differ.relevants:,} relevants have the same counts",
            f"{differ.moved:,} ({differ.moved_share:.2%}; allowed {allowed.moved_share:.2%}) moved by more than "
            "1 + 1% of their rank",
            f"greatest difference of a macro score: {differ.max_score_difference:.2g} ({differ.largest}; allowed "
            f"{allowed.score_difference:g})",
            *(f"identity: {difference}" for difference in self.identity),
        ]


def reproduce(
    path: Path | str,
    *,
    tolerance: Tolerance | None = None,
    options: EncoderOptions | None = None,
    again: Rerun | None = None,
    witness: Witness | None = None,
    store: VectorStore | None = None,
    observe: Observer | None = None,
) -> Reproduced:
    """Run the encoder again with the arguments of the record, and compare the ranks.

    When they agree within the leaderboard's tolerance or a narrower one, what was run is what the record names, and
    somebody is named who ran it, an attestation is written beside the record.

    Args:
        path: the record, with its ranks beside it.
        tolerance: default: the leaderboard's.
        options: device, batch size, leave to run remote code, and arguments for the model in place of the record's;
            the rest comes from the record.
        again: what the record alone does not say.
        witness: who attests it; default: nobody.
        store: where vectors are kept and taken from, for several records of one encoder that are run again together:
            a new one, or nothing was run; default: none.
        observe: as for `evaluate`.

    Raises:
        RecordError: the record cannot be read, or has no encoder that can be run again.
        XqrBenchError: whatever is wrong with the encoder or the data.
    """
    path = Path(path)
    tolerance = tolerance or Tolerance()
    record = _load(path)
    asked, named = again or Rerun(), witness or Witness()
    if named.by is not None:
        check_named(named.by, "--by")
        refuse_unwritable(attestation_path(path))
    key = None if named.sign is None else secret_key(named.sign)
    argument = asked.model or _model(record)
    transform = _transform(record, asked.transform_from)
    name = record.task.name
    spec = load_shipped(name, "the record") if asked.task is None else load_spec(asked.task)
    if spec.name != name:
        raise UsageError(f"the record is of the task {name}, not of {spec.name}", remedy=f"name the file of {name}")
    chosen, machine = asked.model is not None, options or EncoderOptions()
    with _ranker(record, argument, chosen, machine, transform, store, asked.rerank) as ranker:
        select = Selection(data_dir=asked.data_dir)
        (now,) = evaluate(ranker, [spec], select=select, metrics=record.task.metrics, observe=observe)
    differences = compare(record, now)
    identity = identity_differences(record.model.identity, now.model.identity)
    narrow = tolerance.moved_share <= MOVED_SHARE and tolerance.score_difference <= SCORE_DIFFERENCE
    why_not = None
    if not differences.within(tolerance):
        why_not = "not reproduced within the tolerance"
    elif not narrow:
        why_not = "within the tolerance, which is wider than the leaderboard's"
    elif identity:
        why_not = "the ranks agree, but what was run is not the encoder that the record names"
    elif record.model.identity.endpoint is not None and (why := why_unrepeatable(record)) is not None:
        why_not = f"the ranks agree, but the record is {why}"
    elif named.by is None:
        why_not = "the ranks agree, but nobody is named who ran the encoder (--by NAME)"
    if why_not is not None or named.by is None:
        return Reproduced(differences, tolerance, identity, None, why_not)
    versions = provenance.versions()
    made = Attestation(
        by=named.by,
        date=datetime.now(UTC).date(),
        record_digest=record_digest(shortened(record)),
        identity=now.model.identity,
        reproduced_ranks=ranks_digest(now.ranks.pooled()),
        tolerance=tolerance,
        found=differences,
        hardware=now.provenance.hardware,
        key=None if key is None else public_key(key),
        **{name: versions[name] for name in ("code_version", "commit", "dirty", "python", "packages")},
    )
    written = attestation_path(path)
    write_attestation(written, made, key)
    return Reproduced(differences, tolerance, identity, written, None)


def _load(path: Path) -> Result:
    read_json(path, MAX_RECORD)
    record = load_record(path, whole=False)
    check_file(file_beside(path, record.ranks_file), max_ranks(record.task.name, short=record.short))
    record = load_record(path, ranks=True, whole=False)
    refuse_unrepeatable(record)
    return record


def _stages(record: Record) -> Reranking | None:
    """Both stages; None: there is one, or their lists were merged in turn (`--balanced`)."""
    return record.model.identity.reranking if record.model.identity.kind == "reranked" else None


def _of_first(record: Record) -> ModelIdentity:
    """What ranks all candidates: the first stage where there are two."""
    stages = _stages(record)
    return record.model.identity if stages is None else stages.first


def _model(record: Record) -> str:
    """What the record says to run."""
    identity = _of_first(record)
    for one in identity.models:
        if one.kind in WITHOUT_ENCODER:
            raise RecordError(
                f"the record was made from {WITHOUT_ENCODER[one.kind]}: there is no encoder to run again",
                remedy="name the encoder: --model MODEL",
            )
        if one.kind == "python":
            form = "file.py:Object" if identity.fusion is None else f"'{FUSE}METHOD MODEL MODEL', with file.py:Object"
            raise RecordError(
                "the record was made by Python code, which is run only when it is named",
                found=str(record.provenance.arguments.get("model", one.name)),
                remedy=f"look at the code, then name it: --model {form}",
            )
        if one.endpoint is not None:
            facts = one.endpoint
            provider = PROVIDERS.get(facts.provider)
            variable = OTHER_KEY if provider is None else key_variable(provider, facts.url)
            raise RecordError(
                "the record was made by an endpoint, which is asked, and perhaps paid, only when it is named",
                found=f"{facts.url} --model {one.name} --provider {facts.provider}",
                remedy=f"name it: --model {facts.url}; a key for it stands in {variable}",
            )
    if (swept := study_command(record)) is not None:
        raise RecordError(
            "a sweep keeps no models: this record's encoder must be trained again",
            remedy=f"{swept}, and compare the ranks file's digest",
        )
    model = str(record.provenance.arguments.get("model") or identity.model)
    for named in named_parts(model)[1] if model.startswith(FUSE) else (model,):  # whatever the record claims to be
        refuse_code(named, "the record")
    return model


@contextmanager
def _ranker(
    record: Record,
    model: str,
    chosen: bool,
    options: EncoderOptions,
    transform: TransformOptions | None,
    store: VectorStore | None,
    second: str | None,
) -> Iterator[Ranker]:
    """What ranks again; encoders are closed afterwards."""
    stages = _stages(record)
    with ExitStack() as stack:
        if stages is None:
            if second is not None:
                raise UsageError("--rerank is given for a record without a second stage", remedy="leave it out")
            yield stack.enter_context(_first(record, model, chosen, options, transform, store))
            return
        ranks_again = stack.enter_context(_second(record, stages.second, second, options, store))
        first = stack.enter_context(_first(record, model, chosen, options, transform, store))
        yield Reranked(first, ranks_again, stages.depth, stages.pool, stages.relevants_added)


@contextmanager
def _second(
    record: Record, identity: ModelIdentity, chosen: str | None, machine: EncoderOptions, store: VectorStore | None
) -> Iterator[Ranker]:
    """The second stage of a record, or what was chosen in its place."""
    arguments = record.provenance.arguments
    if identity.kind == "baseline" and chosen is None:
        yield baseline_of(identity)
        return
    if identity.kind in ("python", "endpoint", *WITHOUT_ENCODER) and chosen is None:
        raise RecordError(
            "the second stage of the record cannot be run again: it is no model that can be loaded by its name",
            found=f"{identity.kind} {identity.name}",
            remedy="name it: --rerank MODEL",
        )
    model = chosen or str(arguments.get("rerank") or identity.model)
    if chosen is None:
        refuse_code(model, "the record")
    _refuse_remote_code(identity, machine)
    given = arguments.get("rerank_arg")
    given = dict(given) if isinstance(given, dict) else {}
    if identity.kind in KINDS.values() and identity.revision and chosen is None:
        given["revision"] = identity.revision
    with opened(
        model, options_from_file(given, replace(machine, model_kwargs={}, encoder_arg={}), "the record")
    ) as made:
        yield replace(made, store=store) if isinstance(made, VectorRanker) else made


@contextmanager
def _first(
    record: Record,
    model: str,
    chosen: bool,
    options: EncoderOptions,
    transform: TransformOptions | None,
    store: VectorStore | None,
) -> Iterator[Ranker]:
    """What ranks all candidates."""
    identity = _of_first(record)
    if identity.kind == "baseline" and not chosen:
        yield baseline_of(identity)
        return
    if identity.fusion is not None and model.startswith(FUSE):
        k, weights = identity.fusion.k, identity.fusion.weights
        hub = [one.kind == "sentence-transformers" and not chosen for one in identity.parts]
        revisions = [one.revision if pinned else None for one, pinned in zip(identity.parts, hub, strict=True)]
        given = _options(record, options, model if chosen else None)
        with opened_fusion(model, given, k=k, weights=weights, revisions=revisions) as fused:
            yield fused.with_store(store)
        return
    with opened(model, _options(record, options, model if chosen else None)) as ranker:
        if ranker.identity.kind in WITHOUT_ENCODER:
            raise UsageError(
                f"{model} is {WITHOUT_ENCODER[ranker.identity.kind]}, not an encoder that can be run again",
                remedy="name the encoder: --model MODEL",
            )
        if isinstance(ranker, VectorRanker):
            zeros = any(texts.zero_queries or texts.zero_candidates for texts in record.diagnostics.values())
            facts = record.quantization
            quantize = None if facts is None else QuantizeOptions(facts.precision, facts.rescore)
            ranker = replace(ranker, transform=transform, quantize=quantize, allow_zero_vectors=zeros, store=store)
        yield ranker


def _transform(record: Record, folder: Path | str | None) -> TransformOptions | None:
    """What is to be done to the vectors again."""
    facts = record.transform
    if facts is None or facts.bitext is None:
        if folder is not None:
            raise UsageError("--transform-from is given for a record without such a folder", remedy="leave it out")
        return None if facts is None else TransformOptions(facts.name)
    named = record.provenance.arguments.get("transform_from") or record.provenance.settings.get("transform_from")
    place = Path(str(folder or named or facts.bitext.name)).expanduser()
    if not place.is_dir():
        raise RecordError(
            f"the transform {facts.name} was estimated on the sentences {facts.bitext.name}, which are not at {place}",
            remedy="name the folder: --transform-from DIR",
        )
    transform = TransformOptions(facts.name, place)
    digest = transform.bitext_digest(record.task.all_languages)
    if digest != facts.bitext.digest:
        raise RecordError(
            f"the sentences in {place} are not those that {facts.name} was estimated on",
            found=f"digest {str(digest)[:12]}…, the record says {facts.bitext.digest[:12]}…",
            remedy="name the folder with those files: --transform-from DIR",
        )
    return transform


def _refuse_remote_code(identity: ModelIdentity, machine: EncoderOptions) -> None:
    if identity.remote_code and not machine.trust_remote_code:
        raise UsageError(
            "the record was made with code that comes with the model",
            found=f"{identity.name}, revision {identity.revision}",
            remedy="look at that code, then allow it: --trust-remote-code",
        )


def _options(record: Record, machine: EncoderOptions, chosen: str | None) -> EncoderOptions:
    """The options of the record, with those of this machine, for the encoder that was chosen, or that of the record."""
    identity = _of_first(record)
    _refuse_remote_code(identity, machine)
    arguments = dict(record.provenance.arguments)
    if _stages(record) is not None:
        arguments.pop("name", None)  # of both stages together
    if identity.kind in (*KINDS.values(), "mteb") and identity.revision and chosen is None:
        arguments["revision"] = identity.revision  # the commit, whatever branch was named
    if (facts := identity.endpoint) is not None and is_endpoint(chosen or ""):
        arguments |= {"served_model": identity.name, "provider": facts.provider, "dimensions": facts.dimensions}
    else:  # another encoder in its place, such as a folder of the same model
        arguments = {name: value for name, value in arguments.items() if name not in OF_ENDPOINTS}
    return options_from_file(arguments, machine, "the record")


def compare(record: Result, again: Result) -> Differences:
    """How the ranks and macro scores of two records of one task differ.

    Raises:
        RecordError: they do not have the same queries and relevants, or the lists of languages are made otherwise.
    """
    a, b = record.ranks, again.ranks
    if a.query_ids != b.query_ids or list(a.relevant_ids) != list(b.relevant_ids):
        raise RecordError(
            "the record is of other data than there is here",
            found=f"{a.n_queries} and {b.n_queries} queries",
            remedy="xqr-bench data verify tells which file is wrong",
        )
    if not a.by_language:  # of a submission
        b = b.pooled()
    if a.own_lists != b.own_lists:
        which = ("the record has", "now there are") if a.own_lists else ("now there are", "the record has")
        raise RecordError(
            "the rankings of single languages are made in another way than in the record",
            found=f"{which[0]} lists of their own, {which[1]} parts of the pooled one",
            remedy="say how, as the record does: a ranker with lists of its own, such as bm25, or vectors rescored",
        )
    identical = (a.gt == b.gt).all(axis=1) & (a.eq == b.eq).all(axis=1)
    moved = np.zeros(a.n_relevants, dtype=bool)
    for before, after in zip(_middle_ranks(a), _middle_ranks(b), strict=True):
        moved |= np.abs(after - before) > RANK_SLACK + RANK_SLACK_SHARE * before
    if a.own_gt is not None and b.own_gt is not None:
        identical &= (a.own_gt == b.own_gt) & (a.own_eq == b.own_eq)
    largest, where = 0.0, ""
    for setting, scores in record.scores.items():
        for metric, figure in scores.macro.items():
            if setting not in again.scores or metric not in again.scores[setting].macro:
                raise RecordError("the record has figures that its task does not", found=f"{setting} {metric}")
            new = again.scores[setting].macro[metric].value
            if parse_metric(metric).kind == "score" and figure.value is not None and new is not None:
                difference = abs(new - figure.value)
                if difference >= largest:
                    largest, where = difference, f"{setting} {metric}"
    return Differences(
        relevants=a.n_relevants,
        identical=int(identical.sum()),
        moved=int(moved.sum()),
        max_score_difference=largest,
        largest=where,
    )


def _middle_ranks(ranks: Ranks) -> Sequence[FloatArray]:
    """The mean rank of each relevant over the order of ties, in the pool, and in its language's own list."""
    pooled = ranks.gt.sum(axis=1) + (ranks.eq.sum(axis=1) + 1) / 2
    if ranks.own_gt is None or ranks.own_eq is None:
        return [pooled]
    return [pooled, ranks.own_gt + (ranks.own_eq + 1) / 2]
