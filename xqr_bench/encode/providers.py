"""The APIs that an endpoint may have: how each wants to be asked, how it answers, and whose key it is given."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from xqr_bench.core.errors import UsageError

OTHER_KEY = "XQR_BENCH_API_KEY"
"""Names the key of any host that is not a provider's own."""


@dataclass(frozen=True)
class Provider:
    """An API for embeddings.

    Attributes:
        hosts: of whom, the only ones that are given the key in `variable`; one that begins with a dot stands for all
            hosts below it.
        variable: the environment variable of the provider's key.
        header: which the key is sent in.
        path: below the address.
        texts, dimensions, encoding: fields of the request.
        input_type: the field that says what the texts are; None: there is none.
        query, candidate: what it says of queries and of candidates.
        by_type: whether vectors stand in the order of the texts below the name of their encoding, as Cohere has them;
            otherwise each has its index.
        tokens: where the answer counts them.
    """

    hosts: tuple[str, ...]
    variable: str
    header: str = "Authorization"
    path: str = "/embeddings"
    texts: str = "input"
    dimensions: str = "dimensions"
    encoding: str = "encoding_format"
    input_type: str | None = None
    query: str | None = None
    candidate: str | None = None
    by_type: bool = False
    tokens: tuple[str, ...] = ("usage", "total_tokens")


PROVIDERS = {
    "openai": Provider(("api.openai.com",), "OPENAI_API_KEY"),
    "azure": Provider(
        (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        "AZURE_OPENAI_API_KEY",
        header="api-key",
    ),
    "cohere": Provider(
        ("api.cohere.com", "api.cohere.ai"),
        "CO_API_KEY",
        path="/embed",
        texts="texts",
        dimensions="output_dimension",
        encoding="embedding_types",
        input_type="input_type",
        query="search_query",
        candidate="search_document",
        by_type=True,
        tokens=("meta", "billed_units", "input_tokens"),
    ),
    "jina": Provider(
        ("api.jina.ai",),
        "JINA_API_KEY",
        encoding="embedding_type",
        input_type="task",
        query="retrieval.query",
        candidate="retrieval.passage",
    ),
    "nvidia": Provider(
        ("integrate.api.nvidia.com",), "NVIDIA_API_KEY", input_type="input_type", query="query", candidate="passage"
    ),
    "voyage": Provider(
        ("api.voyageai.com",),
        "VOYAGE_API_KEY",
        dimensions="output_dimension",
        input_type="input_type",
        query="query",
        candidate="document",
    ),
}
DEFAULT_PROVIDER = "openai"
ENCODINGS = ("float", "base64")

_SCHEMES = ("http://", "https://")
_WORD = re.compile(r"[a-z0-9._-]{1,40}")
_MOST_OF_ADDRESS = 2048
_HIDDEN = re.compile(r"[^\x21-\x7e]")


def is_endpoint(model: str) -> bool:
    """Whether a MODEL string is the address of an endpoint."""
    return model.lower().startswith(_SCHEMES)


def checked_address(text: str) -> str:
    """The address of an API in one spelling: small letters in scheme and host, no slash at its end.

    Raises:
        UsageError: it is none, or has a place for secrets; the message does not repeat that part.
    """
    remedy = "write it as http://HOST/v1 or https://HOST/v1"
    if not is_endpoint(text) or _HIDDEN.search(text):
        raise UsageError("the address of the endpoint is none of http:// or https:// in ASCII", remedy=remedy)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a port may be none
    except ValueError:
        raise UsageError("the address of the endpoint has no host and port that can be read", remedy=remedy) from None
    if "@" in parts.netloc or "?" in text or "#" in text:
        where = "before the host" if "@" in parts.netloc else "after the path"
        raise UsageError(
            f"the address of an endpoint cannot have anything {where}, where secrets stand: records show it",
            remedy=f"{remedy}; a key stands in an environment variable (docs/encoders.md)",
        )
    if not host:
        raise UsageError("the address of the endpoint names no host", remedy=remedy)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def is_local(address: str) -> bool:
    """Whether an address names a machine of one network, which is another machine elsewhere."""
    host = urlsplit(address).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan", ".home.arpa"))


def key_variable(provider: Provider, address: str) -> str:
    """The environment variable whose key an address is given: the provider's own for its own hosts, over TLS."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    own = any(host.endswith(one) if one.startswith(".") else host == one for one in provider.hosts)
    return provider.variable if own and parts.scheme == "https" else OTHER_KEY


def key_in(variable: str) -> str | None:
    """The key in an environment variable; None: it is not set.

    Raises:
        UsageError: it cannot be sent in a header; the message does not repeat it.
    """
    key = os.environ.get(variable, "").strip()
    if _HIDDEN.search(key):
        raise UsageError(
            f"{variable} holds what is no key: spaces, line breaks or characters that are not ASCII",
            remedy=f"set {variable} to the key alone",
        )
    return key or None


class EndpointFacts(BaseModel):
    """Where and how an endpoint was asked; its vectors depend on it.

    Attributes:
        url: of the API, without anything secret.
        provider: whose API it is.
        query_type, candidate_type: what it was told of the texts; None: it has no word for that.
        dimensions: columns that were asked for; None: the model's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    provider: str
    query_type: str | None = None
    candidate_type: str | None = None
    dimensions: PositiveInt | None = None

    @model_validator(mode="after")
    def _without_secrets(self) -> Self:
        try:
            if checked_address(self.url) != self.url:
                raise ValueError("the address of the endpoint is not in its one spelling")
        except UsageError as error:
            raise ValueError(error.fault) from None
        words = (self.provider, self.query_type, self.candidate_type)
        if len(self.url) > _MOST_OF_ADDRESS or not all(word is None or _WORD.fullmatch(word) for word in words):
            raise ValueError("how the endpoint was asked is no short words")
        return self


class EndpointUse(BaseModel):
    """What it took to have an endpoint encode: this run, all tasks that were encoded together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: NonNegativeInt = Field(description="those sent again included")
    retries: NonNegativeInt = Field(description="requests that were sent again")
    bytes_sent: NonNegativeInt = Field(description="bodies of requests")
    bytes_received: NonNegativeInt = Field(description="bodies of answers")
    tokens: NonNegativeInt | None = Field(default=None, description="as the answers count them; null: not all do")
    price_per_million_tokens: NonNegativeFloat | None = Field(default=None, description="as the user gave it")
    cost: NonNegativeFloat | None = Field(default=None, description="tokens times price; null: one is not known")

    @property
    def summary(self) -> str:
        """All of it in a line."""
        tokens = "an unknown number of" if self.tokens is None else f"{self.tokens:,}"
        cost = "" if self.cost is None else f", cost {self.cost:.6g}"
        return (
            f"{self.requests:,} requests so far ({self.retries:,} sent again), {tokens} tokens{cost}, "
            f"{self.bytes_sent:,} bytes sent and {self.bytes_received:,} received"
        )
