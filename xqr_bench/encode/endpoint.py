"""`http://HOST/v1 --model NAME`: an encoder behind an API for embeddings, asked in batches, several at a time."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from xqr_bench.core import strict_json
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.encode.bound import Lanes, Limits, TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.http import Answer, Http
from xqr_bench.encode.options import OF_ENDPOINTS, EncoderOptions, ModelIdentity, Role
from xqr_bench.encode.providers import (
    DEFAULT_PROVIDER,
    PROVIDERS,
    EndpointFacts,
    EndpointUse,
    Provider,
    checked_address,
    key_in,
    key_variable,
)

BATCH = 32
"""Texts of a request by default: what Text Embeddings Inference takes at most; Cohere takes 96, OpenAI 2,048."""
MOST_BYTES = 2**18
"""Of the texts of a request in UTF-8, hence at most as many tokens; OpenAI takes 300,000. A longer text goes alone."""
LANES = 4
OPTIONS = frozenset({"name", "similarity", "batch_size", "truncate_dim", "query_prompt", "candidate_prompt"})
_MOST_OF_TEXT = 2**20
"""Bytes of an answer for each text: a vector of 32,768 numbers fits."""


class _TooLargeError(Exception):
    """The server says that a request is too large."""


class Endpoint(TextEncoder):
    """A model that a server runs."""

    def __init__(self, address: str, options: EncoderOptions) -> None:
        address = checked_address(address)
        options.refuse_all_but("an endpoint", OPTIONS | OF_ENDPOINTS)
        provider_name = options.provider or DEFAULT_PROVIDER
        provider = self._provider = PROVIDERS[provider_name]
        if address.endswith(provider.path):
            raise UsageError(
                f"{address} is where texts are sent, not the address of the API",
                remedy=f"leave {provider.path} out: it is put behind the address",
            )
        self._variable = key_variable(provider, address)
        key = key_in(self._variable)
        self._http = Http(address, provider.header, key)
        self._address, self._keyed = address, key is not None
        self._encoding = options.encoding or "float"
        self._price = options.price_per_million_tokens
        self._tokens: int | None = 0
        self._most_texts: int | None = None
        self._counting = threading.Lock()
        if not options.served_model:
            raise UsageError(f"an endpoint needs the name of a model: --model NAME{self._listed('; it lists: ')}")
        super().__init__(
            ModelIdentity(
                kind="endpoint",
                name=options.served_model,
                endpoint=EndpointFacts(
                    url=address,
                    provider=provider_name,
                    query_type=provider.query,
                    candidate_type=provider.candidate,
                    dimensions=options.dimensions,
                ),
                query_prompt=options.query_prompt or None,
                candidate_prompt=options.candidate_prompt or None,
                truncate_dim=options.truncate_dim,
                similarity=options.similarity or "cosine",
            ),
            name=options.name,
        )
        self.symmetric = provider.input_type is None and self.prompt("query") == self.prompt("candidate")
        self.limits = Limits(options.batch_size or BATCH)
        self.lanes = Lanes(LANES, stop=self._http.stop)
        self.warn(
            f"an endpoint names no weights: what {address} serves as {options.served_model} may change behind the name"
        )
        if key is not None and address.startswith("http:"):
            self.warn(f"the key in {self._variable} was sent unencrypted: the address is http://, not https://")

    @property
    def usage(self) -> EndpointUse:
        """What was asked so far."""
        http, tokens, price = self._http, self._tokens, self._price
        return EndpointUse(
            requests=http.requests,
            retries=http.retries,
            bytes_sent=http.sent,
            bytes_received=http.received,
            tokens=tokens,
            price_per_million_tokens=price,
            cost=None if price is None or tokens is None else tokens * price / 1e6,
        )

    def call(self, role: Role, texts: list[str]) -> Any:
        """See TextEncoder; texts of too many bytes are sent in several requests, one after the other."""
        prompted = [self.prompt(role) + text for text in texts]
        return [row for part in self._parts(prompted) for row in self._embedded(role, part)]

    def _parts(self, texts: list[str]) -> Iterator[list[str]]:
        part, size = list[str](), 0
        for text in texts:
            more = len(text.encode())
            if part and (size + more > MOST_BYTES or len(part) >= (self._most_texts or len(texts))):
                yield part
                part, size = [], 0
            part.append(text)
            size += more
        yield part

    def _embedded(self, role: Role, texts: list[str]) -> list[Vectors]:
        try:
            return self._request(role, texts)
        except _TooLargeError as error:
            if len(texts) == 1:
                raise EncoderError(
                    f"a text is too large for {self._address}",
                    found=f"{len(texts[0].encode()):,} bytes, beginning {texts[0][:60]!r}; the server says: {error}",
                    remedy="leave --candidate-context out if it is given, or have the server take longer texts",
                ) from None
        half = len(texts) // 2
        with self._counting:
            self._most_texts = min(half, self._most_texts or half)
        return [*self._embedded(role, texts[:half]), *self._embedded(role, texts[half:])]

    def _request(self, role: Role, texts: list[str]) -> list[Vectors]:
        """Ask for the vectors of texts, float32 `[d]` each.

        Raises:
            EncoderError: the server refuses, or its answer is none.
            _TooLargeError: there is too much in the request.
        """
        provider = self._provider
        body: dict[str, Any] = {"model": self.identity.name, provider.texts: texts}
        if provider.input_type is not None:
            body[provider.input_type] = provider.query if role == "query" else provider.candidate
        if self._dimensions is not None:
            body[provider.dimensions] = self._dimensions
        if provider.by_type:
            body[provider.encoding] = [self._encoding]
        elif self._encoding != "float":  # which is what all answer with where nothing is asked for
            body[provider.encoding] = self._encoding
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        answer = self._http.ask(provider.path, content, (len(texts) + 1) * _MOST_OF_TEXT)
        if answer.status == 413:
            raise _TooLargeError(self._http.message(answer))
        if answer.status != 200:
            raise self._refused(answer)
        try:
            read = strict_json.parse(answer.body)
        except ValueError as error:
            raise EncoderError(
                f"{self._address}{provider.path} did not answer with JSON",
                found=f"{self._http.message(answer)}; {self._http.clean(str(error))}",
                remedy="check the address and --provider; a proxy may have answered, or cut the answer off",
            ) from None
        if isinstance(read, dict) and read.get("error"):
            raise EncoderError(
                f"{self._address}{provider.path} answered with an error instead of vectors",
                found=self._http.message(answer),
                remedy="see what it says; the server's log may say more",
            )
        try:
            vectors = [self._vector(row) for row in _rows(read, len(texts), provider, self._encoding)]
        except ValueError as error:
            raise EncoderError(
                f"the answer of {self._address}{provider.path} cannot be read as vectors of {len(texts):,} texts",
                found=self._http.clean(str(error)),
                remedy="check --provider, --dimensions and --encoding (docs/encoders.md says what each provider takes)",
            ) from None
        self._note(read)
        return vectors

    @property
    def _dimensions(self) -> int | None:
        facts = self.identity.endpoint
        return None if facts is None else facts.dimensions

    def _vector(self, row: object) -> Vectors:
        """What stands in place of a vector, as float32 `[d]`.

        Raises:
            ValueError: it is no vector, or has another number of columns than was asked for.
        """
        if self._encoding == "base64":
            if not isinstance(row, str):
                raise ValueError(f"a {_kind(row)} instead of base64: give --encoding float")
            content = base64.b64decode(row, validate=True)
            if len(content) % 4:
                raise ValueError(f"base64 of {len(content):,} bytes, which is no whole number of float32")
            vector = np.frombuffer(content, dtype="<f4")
        else:
            if not isinstance(row, list) or any(type(number) not in (float, int) for number in row):
                raise ValueError(f"{_kind(row)} instead of a list of numbers")
            with np.errstate(over="ignore"):  # too large for float32 becomes inf, which is told with the text
                vector = np.array(row, dtype=np.float64).astype(np.float32)
        if len(vector) != (self._dimensions or len(vector) or 1):
            raise ValueError(f"a vector of {len(vector):,} columns instead of {self._dimensions or 'one or more'}")
        return vector

    def _note(self, read: dict[str, Any]) -> None:
        """Count the tokens that an answer reports, and compare the model that it names with what was asked for."""
        tokens: Any = read
        for name in self._provider.tokens:
            tokens = tokens.get(name) if isinstance(tokens, dict) else None
        known = type(tokens) is int and tokens >= 0
        with self._counting:
            self._tokens = self._tokens + tokens if known and self._tokens is not None else None
        if not known:
            without = "" if self._price is None else ", so there is no cost in the record"
            self.warn(f"{self._address} does not say how many tokens it read{without}")
        named = read.get("model")
        if isinstance(named, str) and named != self.identity.name:
            self.warn(f"asked for {self.identity.name}, {self._address} says that {self._http.clean(named)} answered")

    def _refused(self, answer: Answer) -> EncoderError:
        status, where = answer.status, f"{self._address}{self._provider.path}"
        found: str | None = self._http.message(answer)
        times = "" if answer.attempts == 1 else f" ({answer.attempts} attempts)"
        problem = f"{where} answered {status}{times}"
        if 300 <= status < 400:
            problem = f"{where} sends to another address, which is not followed: a key is for the host that was named"
            found = self._http.clean(answer.headers.get("location", "").partition("?")[0]) or None
            remedy = "if that is the server you mean, give its address"
        elif status in (401, 403):
            lacking = "is not accepted" if status == 401 else "may not use this model"
            problem = f"the key in {self._variable} {lacking}: {problem}"
            if not self._keyed:
                problem = f"{self._variable} is not set, and no key was sent: {where} answered {status}"
            remedy = f"set {self._variable} to a key for this server"
        elif status == 404:
            problem = f"{where} or the model {self.identity.name} is not there: the server answered 404"
            found = f"{found}{self._listed('; it lists: ')}"
            remedy = "check the address (it often ends in /v1) and --model"
        elif status == 429:
            remedy = "wait, or ask for a higher limit"
        elif status >= 500 or status in (408, 425):
            remedy = "look at the server's log, or try again later"
        else:
            remedy = "see what it says; --model, --provider, --dimensions, --encoding and --batch-size make the request"
        if answer.pause:
            remedy = f"{remedy}; the server asks to be left alone for {answer.pause:,.0f} s"
        return EncoderError(problem, found=found, remedy=remedy)

    def _listed(self, before: str) -> str:
        """The models that the server lists, after `before`; empty where it does not say."""
        try:
            answer = self._http.ask("/models", None, _MOST_OF_TEXT)
            read = strict_json.parse(answer.body) if answer.status == 200 else {}
            models = read.get("data") or read.get("models") or []
            names = [str(model.get("id") or model.get("name")) for model in models]
        except (EncoderError, ValueError, AttributeError, TypeError):
            return ""
        return before + self._http.clean(", ".join(names)) if names else ""


def _rows(read: object, texts: int, provider: Provider, encoding: str) -> list[object]:
    """What stands in place of the vectors, in the order of the texts.

    Raises:
        ValueError: there are not as many, or their order cannot be told.
    """
    under = "embeddings" if provider.by_type else "data"
    rows = read.get(under) if isinstance(read, dict) else None
    if provider.by_type and isinstance(rows, dict):
        under, rows = f"{under}.{encoding}", rows.get(encoding)
    if not isinstance(rows, list):
        keys = ", ".join(map(repr, list(read)[:8])) if isinstance(read, dict) else _kind(read)
        raise ValueError(f"no list stands under {under!r}; there is: {keys or 'nothing'}")
    if len(rows) != texts:
        raise ValueError(f"{len(rows):,} vectors for {texts:,} texts")
    if provider.by_type:
        return rows
    ordered = dict[int, object]()
    for row in rows:
        index = row.get("index") if isinstance(row, dict) else None
        if type(index) is not int or not 0 <= index < texts:
            raise ValueError(f"the index {index!r:.40}, from which the order cannot be told")
        if index in ordered:
            raise ValueError(f"two vectors with the index {index}")
        ordered[index] = row.get("embedding")
    return [ordered[index] for index in range(texts)]


def _kind(value: object) -> str:
    return "a list of something else" if isinstance(value, list) else f"a {type(value).__name__}"
