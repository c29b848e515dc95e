"""What a user may ask of an encoder, and what a record says about the encoder that was used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from xqr_bench.encode.context import CONTEXTS, DEFAULT_TEMPLATE, check_template
from xqr_bench.encode.protocol import SIMILARITIES, Similarity
from xqr_bench.errors import UsageError

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class EncoderOptions:
    """Options of `load_encoder`; an option that the encoder cannot follow is an error, never ignored.

    Attributes:
        name: names the record instead of the encoder's own name.
        similarity: "cosine" or "dot" instead of what the encoder declares.
        revision: branch, tag or commit of a hub model.
        device: such as "cpu", "cuda:1", "mps" (default: the best one there is).
        dtype: type the weights are cast to: "float32", "bfloat16" or "float16" (default: as loaded).
        batch_size: texts encoded together, at most.
        token_budget: tokens encoded together, padding included, at most (sentence-transformers models).
        max_length: tokens after which a text is cut off (default: the model's own).
        truncate_dim: keep only the first columns of the vectors.
        query_prompt, candidate_prompt: put before each text instead of the model's own prompts.
        prompt_name: one of the model's named prompts, for the queries.
        candidate_context: "paragraph": candidates are encoded together with their paragraph.
        context_template: how, instead of "{sentence}\\n{paragraph}".
        model_kwargs: passed on to the transformers model.
        trust_remote_code: allow code that comes with a hub model to run.

    Raises:
        UsageError: a value that cannot be meant, or two options that contradict each other.
    """

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
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        choices = {"similarity": SIMILARITIES, "dtype": DTYPES, "candidate_context": CONTEXTS}
        for option, known in choices.items():
            value = getattr(self, option)
            if value is not None and value not in known:
                raise UsageError(f"{_flag(option)} cannot be {value!r}", remedy=f"use one of: {', '.join(known)}")
        for option in ("batch_size", "token_budget", "max_length", "truncate_dim"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise UsageError(f"{_flag(option)} cannot be {value}", remedy="use a number from 1 on")
        if "trust_remote_code" in self.model_kwargs:
            raise UsageError(
                "--model-kwargs cannot hold trust_remote_code: the record would not say that remote code ran",
                remedy="give --trust-remote-code, if you trust the code of the model",
            )
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

    @property
    def candidate_template(self) -> str | None:
        """What candidates are put into before they are encoded; None: they are encoded as they are."""
        return None if self.candidate_context is None else self.context_template or DEFAULT_TEMPLATE

    def refuse_all_but(self, kind: str, allowed: frozenset[str]) -> None:
        """Raise UsageError when an option was given that has no meaning for this kind of encoder."""
        given = [f.name for f in fields(self) if getattr(self, f.name) not in (None, False, {})]
        wrong = [_flag(option) for option in given if option not in allowed]
        if wrong:
            raise UsageError(
                f"{', '.join(wrong)} cannot be used with {kind}",
                remedy=f"leave it out; {kind} takes: {', '.join(_flag(option) for option in sorted(allowed))}",
            )


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")


EncoderKindName = Literal["sentence-transformers", "builtin", "plugin", "python", "precomputed", "run", "baseline"]


class ModelIdentity(BaseModel):
    """What the vectors (or the ranking) depend on, as far as it can be known; kept in the record.

    Attributes:
        kind: how the encoder was found; "run": a ranking made elsewhere; "baseline": a ranking without vectors.
        name: hub name, folder name, `module:Object`, or the registered name.
        revision: commit of a hub model, or what the encoder declares.
        digest: SHA-256 over the files of a local folder, over the source files of a Python encoder, or over the
            files of a run.
        distribution: name and version of the installed package that brings a plugin or computes a baseline.
        query_prompt, candidate_prompt: put before each text; None when nothing is.
        candidate_context: the template that puts each candidate together with its paragraph; None: it stands alone.
        max_length: tokens after which a text is cut off; None when unknown or unlimited.
        dtype: type of the weights (sentence-transformers) or of the stored vectors (precomputed).
        truncate_dim: columns kept; None for all.
        similarity: "cosine" or "dot"; "none" for a run or a baseline, which have no vectors.
        dimensions: columns of the vectors; None before anything was encoded.
        model_kwargs: passed on to the transformers model; of a baseline its parameters.
        remote_code: whether code that comes with the model was allowed to run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    kind: EncoderKindName
    name: str
    revision: str | None = None
    digest: str | None = None
    distribution: str | None = None
    query_prompt: str | None = None
    candidate_prompt: str | None = None
    candidate_context: str | None = None
    max_length: int | None = None
    dtype: str | None = None
    truncate_dim: int | None = None
    similarity: Similarity | Literal["none"] = "cosine"
    dimensions: int | None = None
    model_kwargs: dict[str, Any] = {}
    remote_code: bool = False
