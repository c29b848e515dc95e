"""The encoder that a submission names: its kind, what was done to its vectors, and what reproducing it runs."""

from __future__ import annotations

import re
from typing import Literal

from xqr_bench.core.errors import RecordError, UsageError, XqrBenchError
from xqr_bench.encode import ModelIdentity, load_encoder
from xqr_bench.encode.kinds import KINDS
from xqr_bench.encode.mteb_model import PREFIX as MTEB
from xqr_bench.encode.options import RANKED_ONLY
from xqr_bench.encode.providers import is_endpoint
from xqr_bench.encode.python_object import is_python_spec
from xqr_bench.encode.registry import ENCODERS
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.encode.trust import risky_arguments
from xqr_bench.evaluation.baselines import baseline_of
from xqr_bench.evaluation.fused import FUSE, named_parts
from xqr_bench.rank.index import deepest
from xqr_bench.record import Record
from xqr_bench.record.exposure import OURS, Exposure

_OWN_LISTS = ("run", "baseline", "fused")
WHOLE = "evaluate on the whole task, unchanged"
AS_MADE = "submit what xqr-bench evaluate wrote"


def require(right: object, problem: str, found: str | None = None, remedy: str = WHOLE) -> None:
    """Raise RecordError with this problem unless it is right."""
    if not right:
        raise RecordError(problem, found=found, remedy=remedy)


def check_transform(record: Record) -> None:
    """What was done to the vectors exists and does not contradict itself."""
    transform = record.transform
    if transform is None:
        return
    try:
        named = TransformOptions(transform.name)
    except XqrBenchError as error:
        raise RecordError("the record names no transform of xqr-bench", found=transform.name, remedy=WHOLE) from error
    require(
        transform.transductive == (transform.bitext is None)
        and transform.removed_directions == named.directions
        and (1.0 if transform.strength is None else transform.strength) == named.strength
        and transform.language == named.language
        and (named.directions or 0)
        < transform.dimensions
        == (record.model.identity.models[0].dimensions or transform.dimensions)
        and set(transform.estimated_on) <= set(record.task.all_languages),
        f"the record contradicts itself about its transform {transform.name}",
        f"estimated on {transform.source}",
        AS_MADE,
    )


def check_quantization(record: Record) -> None:
    """How vectors were quantised does not contradict the rest of the record."""
    quantization = record.quantization
    if quantization is None:
        return
    candidates = sum(size.candidates for size in record.task.counts.values())
    given = [place.get("rescore") for place in (record.provenance.arguments, record.provenance.settings)]
    require(
        quantization.dimensions == (record.model.identity.models[0].dimensions or quantization.dimensions)
        and quantization.calibrated_on in (None, candidates)
        and (quantization.rescored is None or quantization.rescored.pool <= candidates)
        and all(one is None or str(one) == str(quantization.rescore) for one in given)
        and record.index is None,
        f"the record contradicts itself about its {quantization.precision} vectors",
        f"rescored {quantization.rescore}, {quantization.dimensions} dimensions",
        AS_MADE,
    )


_NOT_DENSE = ("sparse-encoder", "multi-vector-encoder")


def check_vectors(record: Record) -> None:
    """What was done to the vectors is what was asked for, there were vectors, and no ranking is cut but by an index."""
    transform, index = record.transform, record.index
    quantization = record.quantization
    done = {
        "transform": transform and transform.name,
        "quantize": quantization and quantization.precision,
        "index": index and index.type,
    }
    arguments, settings = record.provenance.arguments, record.provenance.settings
    for given in (arguments, settings):
        for what, name in done.items():
            asked = given.get(what)
            asked = asked.get("type") if isinstance(asked, dict) else asked
            stated = what in given or (given is settings and name is not None)  # what was done is among the settings
            require(
                not stated or (asked or "none") == (name or "none"),
                f"the record contradicts itself about its {what}",
                f"asked for: {asked!s:.40}; done: {name or 'none'}",
                AS_MADE,
            )
    identity = record.model.identity
    require(
        identity.kind != "run" or not (identity.parts or identity.base),
        "lists merged in turn are a reference, and no row of the leaderboard",
        identity.name[:80],
        "evaluate without --balanced",
    )
    first = identity.models[0]
    require(
        first.candidate_context is not None or not arguments.get("candidate_context"),
        "the record contradicts itself about the context of its candidates",
        str(arguments.get("candidate_context"))[:40],
        AS_MADE,
    )
    ranked, without = identity.similarity == "none", first.similarity == "none"
    require(
        (identity.kind in ("python", "plugin") or ranked == (identity.kind in RANKED_ONLY))
        and not (ranked and identity.dimensions)
        and not (without and (record.diagnostics or any(done.values()))),
        f"the record contradicts itself about the vectors of an encoder of the kind {identity.kind}",
        f"similarity {identity.similarity}, dimensions {identity.dimensions}",
        AS_MADE,
    )
    require(
        (first.similarity == "maxsim") == (first.kind == "multi-vector-encoder")
        and not (first.kind in _NOT_DENSE and (first.truncate_dim or transform or index)),
        f"the record contradicts itself about a model of the kind {first.kind}",
        f"similarity {first.similarity}",
        AS_MADE,
    )
    depth = record.ranks_file.depth
    require(
        depth is None or identity.kind in ("run", "fused") or index is not None,
        "only runs and indices have rankings that are cut",
        f"depth {depth}",
        AS_MADE,
    )
    if index is not None:
        sizes = {code: size.candidates for code, size in record.task.counts.items()}
        require(index.sizes == sizes, "the index does not hold the candidates of the task", str(index.sizes), AS_MADE)
        most = deepest(sizes.values())
        require(
            (index.depth or 0) <= most,
            "the index is cut deeper than there are candidates",
            f"depth {index.depth}, at most {max(sizes.values())} candidates of a language",
            f"give --depth {most} or less",
        )


def check_stages(record: Record) -> None:
    """A ranking in two stages is made of what it says, as it was asked for, and its relevants were not helped."""
    identity, stages = record.model.identity, record.model.identity.reranking
    given = (record.provenance.arguments, record.provenance.settings)
    asked = [place.get("rerank") for place in given]
    if stages is None:
        require(not any(asked), "the record contradicts itself about its second stage", str(asked)[:80], AS_MADE)
        return
    require(
        identity.kind == "reranked"
        and record.index is None
        and all(one.reranking is None for one in identity.whole[1:]),
        "a ranking in two stages is made of two rankings without stages, without an index",
        f"kind {identity.kind}, {len(identity.models)} models",
        AS_MADE,
    )
    for one in identity.models:
        require(
            one.kind in ("python", "plugin") or (one.similarity == "none") == (one.kind in RANKED_ONLY),
            f"the record contradicts itself about the vectors of {one.name}",
            f"kind {one.kind}, similarity {one.similarity}",
            AS_MADE,
        )
    require(
        not stages.relevants_added,
        "the relevants were ranked again wherever they stood: an upper bound, which no search gives",
        remedy="evaluate without --rerank-add-relevants",
    )
    done = {"rerank_depth": stages.depth, "rerank_pool": stages.pool, "rerank_add_relevants": False}
    for place in given:
        wrong = {name: place[name] for name, value in done.items() if place.get(name) not in (None, value)}
        require(not wrong, "the record contradicts itself about what was ranked again", str(wrong)[:80], AS_MADE)


def check_kind(record: Record) -> None:
    """What claims to be built in, a baseline or declared by xqr-bench is.

    Raises:
        XqrBenchError: it is not.
    """
    identity, exposure = record.model.identity, record.exposure
    for one in identity.models:
        if one.kind == "builtin":
            require(_is_built_in(one.name), f"no encoder {one.name!r} is built in", remedy=AS_MADE)
        if one.kind == "baseline":
            ours = baseline_of(one).identity.model_copy(update={"distribution": one.distribution})
            require(one == ours, f"no baseline {one.name} is made so", str(one)[:200], AS_MADE)
    require(
        exposure is None or exposure.declared_by != "xqr-bench" or is_ours(record),
        "xqr-bench declares the exposure of what is built in, and of nothing else",
        remedy="submit --exposure LEVEL",
    )
    require(
        exposure is None or exposure.declared_by != "mteb" or (identity.distribution or "").startswith("mteb "),
        "mteb declares the exposure of what has its protocol, and of nothing else",
        remedy="submit --exposure LEVEL",
    )


def _is_built_in(name: str) -> bool:
    return name in ENCODERS and ENCODERS.origins()[name] == "built in"


BOUNDS: dict[str, Literal["floor", "ceiling"]] = {"random": "floor", "oracle": "ceiling"}
"""Baselines whose ranks show what they are (`_check_bound`)."""


def is_ours(record: Record) -> bool:
    """Whether the record is of a baseline or a built-in encoder as it is now, under a name that begins with its own.

    Others of these kinds are encoders like any: another name, or code of another digest, vouches for nothing.
    """
    identity = record.model.identity
    if not record.model.name.startswith(identity.name) or identity.kind not in ("builtin", "baseline"):
        return False
    if identity.kind == "baseline":
        return True
    made = load_encoder(identity.name).identity
    return (identity.revision, identity.digest) == (made.revision, made.digest)


def is_proved_ours(record: Record, *, attested: bool) -> bool:
    """Whether it can count as ours: somebody attests to have run it, or its ranks show it (`_check_bound`).

    Without either, the ranks under a baseline's name and identity may be of anything.
    """
    identity = record.model.identity
    return is_ours(record) and (attested or (identity.kind == "baseline" and identity.name in BOUNDS))


def stated_exposure(record: Record, *, attested: bool) -> Exposure:
    """What the record declares; else, of what is ours, that nothing is trained."""
    return record.exposure or (OURS if is_proved_ours(record, attested=attested) else Exposure())


def check_arguments(record: Record) -> None:
    """Running the record's models again runs no code that the record chooses."""
    identity, arguments = record.model.identity, record.provenance.arguments
    of_second = arguments.get("rerank_arg")
    risky = risky_arguments(arguments.get("model_kwargs"))
    risky |= risky_arguments(of_second.get("model_kwargs") if isinstance(of_second, dict) else of_second)
    for one in identity.whole:
        risky |= risky_arguments(one.model_kwargs) if one.kind != "baseline" else {}
    require(
        not risky,
        "the record has arguments for the model that can decide which code runs",
        ", ".join(sorted(risky)),
        "evaluate without them (--model-kwargs, --encoder-arg); a submission may have dtype and attn_implementation",
    )
    stages, given = identity.reranking, arguments.get("model")
    first = identity if stages is None else stages.first
    named = [(one, model, given) for one, model in _named_models(first, str(given or first.model))]
    if stages is not None:
        second = arguments.get("rerank")
        named.append((stages.second, str(second or stages.second.model), second))
    for one, model, given in named:
        require(not model.startswith("-"), "the record names an option as its model", model, AS_MADE)
        require(
            given is None or _is_named(one, model),
            "the record was made with another model than it names",
            f"asked for: {model:.80}; evaluated: {one.kind} {one.name:.80}",
            AS_MADE,
        )
        code = one.kind != "python" and is_python_spec(model)
        require(not code, f"the record names Python code as an encoder of the kind {one.kind}", model, AS_MADE)


def _named_models(identity: ModelIdentity, model: str) -> list[tuple[ModelIdentity, str]]:
    """What a MODEL string names, and the identities that it should have: of a fusion each of its parts."""
    fusion = identity.fusion
    if fusion is None:
        return [(identity, model)]
    try:
        method, models = named_parts(model)
    except UsageError as error:
        raise RecordError("the record names no rankings that were fused", found=model[:80], remedy=AS_MADE) from error
    fits = (method, len(models)) == (fusion.method, len(fusion.parts)) == (fusion.method, len(fusion.weights))
    require(fits, "the record was made of other rankings than it names", model[:80], AS_MADE)
    return list(zip(fusion.parts, models, strict=True))


_MADE_ELSEWHERE = ("precomputed", "scores", "run")
_OF_OTHER_KINDS = (*(f"{kind}:" for kind in _MADE_ELSEWHERE), MTEB, FUSE)


def _is_named(identity: ModelIdentity, model: str) -> bool:
    """Whether a MODEL string can stand for an encoder of this identity; folders and code have many paths."""
    if identity.kind == "baseline":
        return re.fullmatch(rf"(baseline )?{re.escape(identity.name)}(:\d+)?", model, re.ASCII) is not None
    if identity.kind in ("builtin", "plugin"):
        return model.partition(":")[0] == identity.name
    if identity.endpoint is not None:
        return is_endpoint(model) and model.rstrip("/").lower() == identity.endpoint.url.lower()
    if identity.kind in _MADE_ELSEWHERE:
        return model.startswith(f"{identity.kind}:")
    if identity.kind == "mteb":
        return model == identity.model
    if is_endpoint(model) or model.startswith(_OF_OTHER_KINDS):
        return False
    if identity.kind in KINDS.values() and identity.revision and identity.digest is None:
        return f"/{identity.name}".casefold().endswith(f"/{model}".casefold())  # the hub adds the organisation
    return True


def has_own_lists(identity: ModelIdentity) -> bool:
    """Whether lists of single languages may be no part of the pooled one, in it or in what it is made of."""
    return any(one.kind in _OWN_LISTS for one in (identity, *identity.models))
