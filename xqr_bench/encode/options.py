"""What an encoder must have, what a user may ask of one, and what a record says about the one that was used."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError, model_validator

from xqr_bench.core import strict_json
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.options import JsonObject, KeyValues, Option, flag, flag_of, line_breaks
from xqr_bench.core.printable import is_text
from xqr_bench.encode.providers import ENCODINGS, PROVIDERS, EndpointFacts

Similarity = Literal["cosine", "dot"]
Role = Literal["query", "candidate"]

ROLES: tuple[Role, Role] = ("query", "candidate")
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "dot")


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors.

    Each method takes a list of texts and returns one row per text, in order: a numpy array, a torch tensor (any
    device, any float type) or a list of lists, of shape `[len(texts), dimensions]`. An object with only
    `encode(texts)` is accepted too, for queries and candidates alike; so is one with `encode_query` and
    `encode_document`, or with the methods of another library (`conventions.py`).

    Optional attributes:
        name: str, the record's name (default: the name of the class).
        similarity: "cosine" (default) or "dot".
        revision: str, a version of the encoder, kept in the record.
        device: str, where it runs, for the printed summary.
        sparse: True where each method returns a sparse matrix, of scipy or torch, that is to stay one: scores are then
            sparse products, and exact zeros tie. Without it a sparse matrix is made dense.
        truncated(texts): one bool per text, True where the encoder cuts the text off.
        keep_vectors: False where encoding is as fast as reading: the embedding store then keeps no vectors.
        close(): called when the encoder is no longer needed.
    """

    def encode_queries(self, texts: list[str]) -> Any:
        """Return one row per query text, numbers of shape `[len(texts), dimensions]`."""
        ...

    def encode_candidates(self, texts: list[str]) -> Any:
        """Return one row per candidate text, numbers of shape `[len(texts), dimensions]`."""
        ...


CONTEXTS = ("paragraph",)
# the sentence first: where a model cuts a text off, it loses paragraph, not sentence
DEFAULT_TEMPLATE = "{sentence}\n{paragraph}"


def check_template(template: str) -> None:
    """Check that a template holds {sentence} and {paragraph}, and nothing else in braces.

    Raises:
        UsageError: it does not.
    """
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise UsageError(f"{template!r} is no template: {error}", remedy="write a brace itself as {{ or }}") from None
    named = [field for field in fields if field[0] is not None]
    names = {name for name, _, _ in named}
    if names != {"sentence", "paragraph"} or any(spec or conversion for _, spec, conversion in named):
        raise UsageError(
            f"the template {template!r} does not hold {{sentence}} and {{paragraph}}, and only these, in braces",
            remedy=f"write it as {DEFAULT_TEMPLATE!r}",
        )


_PROMPTS = ("query_prompt", "candidate_prompt", "context_template")
DTYPES = ("float32", "bfloat16", "float16")
SERVER = "A server for embeddings"
OF_ENDPOINTS = frozenset({"served_model", "provider", "dimensions", "encoding", "price_per_million_tokens"})
"""Options that only an endpoint has."""


@checked
@dataclass(frozen=True)
class EncoderOptions:
    """Options of `load_encoder`; an option that the encoder cannot follow is an error, never ignored.

    Attributes:
        name: Name of the record, instead of the encoder's own name.
        similarity: cosine or dot, instead of what the model declares.
        revision: Branch, tag or commit of a hub model.
        device: Such as cpu, cuda, cuda:1, mps, or several, as cuda:0,cuda:1. Default: the best there is.
        dtype: Cast the weights: float32, bfloat16 or float16.
        batch_size: Texts encoded together, at most.
        token_budget: Tokens encoded together, padding included, at most. Default: as many as suit the device and model.
        max_length: Tokens after which a text is cut off.
        truncate_dim: Keep only the first columns of the vectors.
        query_prompt: Put before each query, instead of the model's own prompt; \\n in it is a line break.
        candidate_prompt: Put before each candidate; \\n is a line break.
        prompt_name: One of the model's named prompts, for the queries.
        candidate_context: paragraph: encode each candidate together with its paragraph.
        context_template: How, instead of '{sentence}\\n{paragraph}'; \\n is a line break.
        model_kwargs: JSON object passed on to the transformers model.
        trust_remote_code: Run code that comes with a hub model.
        encoder_arg: Argument of the class or function file.py:Object that makes the encoder; repeat for more.
        served_model: Name of the model that an endpoint (http://HOST/v1) is asked for.
        provider: Whose API an endpoint has: openai (the default), azure, cohere, jina, nvidia or voyage.
        dimensions: Columns that an endpoint is asked for; --truncate-dim cuts what it returns.
        encoding: How an endpoint is asked to write numbers: float (the default) or base64.
        price_per_million_tokens: Price of an endpoint, for the cost in the record.

    Raises:
        UsageError: a value that cannot be meant, or two options that contradict each other.
    """

    section: ClassVar = "Encoder"

    name: str | None = None
    similarity: Similarity | None = None
    revision: str | None = None
    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    token_budget: int | None = None
    max_length: int | None = None
    truncate_dim: int | None = None
    query_prompt: str | None = None
    candidate_prompt: str | None = None
    prompt_name: str | None = None
    candidate_context: str | None = None
    context_template: str | None = None
    model_kwargs: JsonObject = field(default_factory=dict)
    trust_remote_code: bool = False
    encoder_arg: KeyValues = field(default_factory=dict)
    served_model: Annotated[str | None, Option("--model", section=SERVER)] = None
    provider: Annotated[str | None, Option(section=SERVER)] = None
    dimensions: Annotated[int | None, Option(section=SERVER)] = None
    encoding: Annotated[str | None, Option(section=SERVER)] = None
    price_per_million_tokens: Annotated[float | None, Option(section=SERVER)] = None

    def __post_init__(self) -> None:
        if self.name is not None:
            refuse_unreadable(self.name, "--name", "give a name that can be read on one line, or leave it out")
        if self.served_model is not None:
            refuse_unreadable(self.served_model, "--model", "give the name that the endpoint has for the model")
        for option, value in vars(self).items():
            if isinstance(value, str) and not is_text(value):
                raise UsageError(
                    f"{flag_of(type(self), option)} {value!r:.60} is no text of UTF-8", remedy="write it in UTF-8"
                )
        choices = {
            "similarity": SIMILARITIES,
            "dtype": DTYPES,
            "candidate_context": CONTEXTS,
            "provider": tuple(PROVIDERS),
            "encoding": ENCODINGS,
        }
        for option, names in choices.items():
            value = getattr(self, option)
            if value is not None and value not in names:
                raise UsageError(f"{flag(option)} cannot be {value!r}", remedy=f"use one of: {', '.join(names)}")
        for option in ("batch_size", "token_budget", "max_length", "truncate_dim", "dimensions"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise UsageError(f"{flag(option)} cannot be {value}", remedy="use a number from 1 on")
        price = self.price_per_million_tokens
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise UsageError(f"--price-per-million-tokens cannot be {price}", remedy="use a number from 0 on")
        if "trust_remote_code" in self.model_kwargs:
            raise UsageError(
                "--model-kwargs cannot hold trust_remote_code: the record would not say that remote code ran",
                remedy="give --trust-remote-code, if you trust the code of the model",
            )
        for name, value in self.encoder_arg.items():
            _check_argument(name, value)
        _refuse_secrets("--model-kwargs", self.model_kwargs)
        _refuse_secrets("--encoder-arg", self.encoder_arg)
        if self.prompt_name is not None and self.query_prompt is not None:
            raise UsageError(
                "--prompt-name and --query-prompt both say what stands before a query",
                remedy="give one of them",
            )
        if self.context_template is not None:
            if self.candidate_context is None:
                raise UsageError(
                    "--context-template says how candidates stand in their paragraph, and they do not",
                    remedy="give --candidate-context paragraph too",
                )
            check_template(self.context_template)

    def with_line_breaks(self) -> EncoderOptions:
        """These options, with a line break for each `\\n` in a prompt or template (see `line_breaks`)."""
        given = {option: getattr(self, option) for option in _PROMPTS}
        texts: dict[str, Any] = {option: line_breaks(text) for option, text in given.items() if text is not None}
        return replace(self, **texts)

    @classmethod
    def of_values(cls, given: Mapping[str, Any], where: str) -> EncoderOptions:
        """Options from plain values, as a command line or a file has them.

        Raises:
            UnknownNameError, UsageError: there is no such option, or a value that it cannot have; `where` says of whom.
        """
        names = [one.name for one in fields(cls)]
        if strange := [name for name in given if name not in names]:
            raise UnknownNameError(f"option for {where}", strange[0], names)
        try:
            return TypeAdapter(cls).validate_json(json.dumps(dict(given)), strict=True)
        except ValidationError as error:
            problem = f"{where} has an option that cannot be meant: {strict_json.first_fault(error)}"
            raise UsageError(problem, remedy="give a value of its kind: a text that is a number as '\"5\"'") from error

    @property
    def candidate_template(self) -> str | None:
        """What candidates are put into before they are encoded; None: they are encoded as they are."""
        return None if self.candidate_context is None else self.context_template or DEFAULT_TEMPLATE

    def refuse_all_but(self, kind: str, allowed: frozenset[str]) -> None:
        """Raise UsageError when an option was given that has no meaning for this kind of encoder."""
        given = [f.name for f in fields(self) if getattr(self, f.name) not in (None, False, {})]
        wrong = [flag_of(type(self), option) for option in given if option not in allowed]
        if wrong:
            takes = ", ".join(flag_of(type(self), option) for option in sorted(allowed))
            raise UsageError(
                f"{', '.join(wrong)} cannot be used with {kind}",
                remedy=f"leave it out; {kind} takes: {takes}",
            )


_SECRET = re.compile(
    r"api_?key|secret|passw(or)?d|credential|(access|auth|bearer|hf|api)_token|^token$|^key$", re.IGNORECASE
)


def _check_argument(name: object, value: object) -> None:
    """Check an argument of an encoder, which the record will hold.

    Raises:
        UsageError: it is no name and plain value, or looks like a secret.
    """
    plain = value is None or isinstance(value, str | bool | int | float)
    if not (isinstance(name, str) and name.isidentifier() and plain) or (isinstance(value, str) and not is_text(value)):
        raise UsageError(
            f"--encoder-arg cannot hand over {name!s:.40}={value!r:.60}",
            remedy="give a name of Python and a number, true, false, null or text; the rest in a class of your own",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"--encoder-arg {name} is not finite", remedy="give a number that a record can hold")


def _refuse_secrets(option: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments, of which the record holds all, that look like a secret by their name.

    Raises:
        UsageError: one does.
    """
    for name, value in given.items():
        if isinstance(value, Mapping):
            _refuse_secrets(option, value)
        elif _SECRET.search(str(name)) and not (value is None or isinstance(value, bool)):
            raise UsageError(
                f"{option} {name} looks like a secret, and the record holds what is given",
                remedy="have the encoder read it from the environment",
            )


EncoderKindName = Literal[
    "sentence-transformers",
    "builtin",
    "plugin",
    "python",
    "precomputed",
    "sparse-encoder",
    "multi-vector-encoder",
    "cross-encoder",
    "endpoint",
    "mteb",
    "scores",
    "reranked",
    "fused",
    "run",
    "baseline",
]
RANKED_ONLY = ("cross-encoder", "scores", "reranked", "fused", "run", "baseline")
"""Kinds without vectors: their identity has the similarity "none"."""


class ModelIdentity(BaseModel):
    """What the vectors (or the ranking) depend on, as far as it can be known; kept in the record.

    Attributes:
        kind: how the encoder was found, or what ranks without vectors: "cross-encoder" each pair of texts by itself,
            "scores" matrices made elsewhere, "reranked" the top of another ranking, "fused" several rankings, "run" a
            ranking made elsewhere, "baseline" what needs no model.
        name: hub name, folder name, `module:Object`, or the registered name.
        revision: commit of a hub model, or what the encoder declares.
        digest: SHA-256 over the files of a local folder (and its `base`), over the source files of a Python encoder, or
            over the files of a run.
        base: what an adapter is put on: hub name and commit, or a folder's name and digest, `@` between.
        distribution: name and version of the installed package that brings a plugin, computes a baseline, or whose
            protocol an encoder has.
        query_prompt, candidate_prompt: put before each text; None when nothing is.
        candidate_context: the template that puts each candidate together with its paragraph; None: it stands alone.
        max_length: tokens after which a text is cut off; None when unknown or unlimited.
        dtype: type of the weights (sentence-transformers) or of the stored vectors (precomputed).
        truncate_dim: columns kept; None for all.
        similarity: "cosine" or "dot"; "maxsim" of several vectors a text; "none" for what has no vectors.
        dimensions: columns of the vectors; None before anything was encoded.
        model_kwargs: passed on to the transformers model, or to the class of a Python encoder; of a baseline its
            parameters.
        remote_code: whether code that comes with the model was allowed to run.
        endpoint: where and how it was asked; of an endpoint.
        reranking: of "reranked": the identities of both stages, and what was ranked again.
        fusion: of "fused": the identities of the rankers, and how their rankings became one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    kind: EncoderKindName
    name: str
    revision: str | None = None
    digest: str | None = None
    base: str | None = None
    distribution: str | None = None
    query_prompt: str | None = None
    candidate_prompt: str | None = None
    candidate_context: str | None = None
    max_length: PositiveInt | None = None
    dtype: str | None = None
    truncate_dim: PositiveInt | None = None
    similarity: Similarity | Literal["maxsim", "none"] = "cosine"
    dimensions: PositiveInt | None = None
    model_kwargs: dict[str, Any] = {}
    remote_code: bool = False
    endpoint: EndpointFacts | None = None
    reranking: Reranking | None = None
    fusion: Fusion | None = None

    @model_validator(mode="after")
    def _an_endpoint_says_where(self) -> Self:
        if (self.kind == "endpoint") != (self.endpoint is not None and self.kind != "run"):
            raise ValueError("an endpoint says its address, and nothing else has one")
        return self

    @model_validator(mode="after")
    def _two_stages_say_which(self) -> Self:
        # one whose lists are merged in turn (`--balanced`) is a "run"
        if (self.kind == "reranked") != (self.reranking is not None and self.kind != "run"):
            raise ValueError("a ranking in two stages says which they are, and no other does")
        if (self.kind == "fused") != (self.fusion is not None and self.kind != "run"):
            raise ValueError("a fusion says of what it is, and no other ranking does")
        return self

    @property
    def model(self) -> str:
        """The MODEL string that names it, where its name alone can."""
        if self.fusion is not None:
            return shlex.join([f"fuse:{self.fusion.method}", *(part.model for part in self.fusion.parts)])
        if self.endpoint is not None:
            return self.endpoint.url
        return f"mteb:{self.name}" if self.kind == "mteb" else self.name

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Itself, or what it is made of."""
        parts = () if self.kind == "run" else self.parts
        return tuple(model for part in parts for model in part.models) or (self,)

    @property
    def whole(self) -> tuple[ModelIdentity, ...]:
        """Itself, and all that it is made of, however deep."""
        return (self, *(one for part in self.parts for one in part.whole))

    @property
    def parts(self) -> tuple[ModelIdentity, ...]:
        """Of what it is made; empty: of itself."""
        if self.fusion is not None:
            return self.fusion.parts
        return () if self.reranking is None else (self.reranking.first, self.reranking.second)

    def learnt(self, there: ModelIdentity) -> ModelIdentity:
        """This one, with what is known once something was encoded, and then a consequence of the rest, as `there`."""
        unknown = [name for name in ("dimensions", "dtype") if getattr(self, name) is None]
        update: dict[str, Any] = {name: getattr(there, name) for name in unknown}
        if len(self.parts) == len(there.parts):
            parts = tuple(one.learnt(other) for one, other in zip(self.parts, there.parts, strict=True))
            if self.fusion is not None:
                update["fusion"] = self.fusion.model_copy(update={"parts": parts})
            elif self.reranking is not None:
                both = dict(zip(("first", "second"), parts, strict=True))
                update["reranking"] = self.reranking.model_copy(update=both)
        return self.model_copy(update=update)


RerankPool = Literal["language", "pool"]


class Reranking(BaseModel):
    """Of what a ranking in two stages is made.

    Attributes:
        first: ranks all candidates.
        second: ranks the best of them again.
        depth: how many of each list of the first stage are ranked again, and those that tie with the last.
        pool: "language": the list of each language; "pool": the one of all candidates.
        relevants_added: whether the relevant candidates were ranked again too, wherever they stood: an upper bound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: ModelIdentity
    second: ModelIdentity
    depth: PositiveInt
    pool: RerankPool
    relevants_added: bool = False


FusionMethod = Literal["rrf", "combsum"]


class Fusion(BaseModel):
    """Of what rankings one is made, and how.

    Attributes:
        method: "rrf": reciprocal ranks; "combsum": scores of 0 to 1, summed.
        k: of rrf.
        weights: of each ranking.
        parts: what each of them depends on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: FusionMethod
    k: NonNegativeInt | None = None
    weights: tuple[float, ...]
    parts: tuple[ModelIdentity, ...]


ModelIdentity.model_rebuild()
