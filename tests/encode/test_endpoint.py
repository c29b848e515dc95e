"""Endpoints: what is sent, what each answer comes to, and that no key is told."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.embedding_server import COLUMNS, EmbeddingServer, Reply, vector_of, vectors_of
from tests.kit import Seen, make_task, ran, read_json, run, words
from xqr_bench.board.attestation import why_unrepeatable
from xqr_bench.board.row import reproduce_command
from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError
from xqr_bench.encode import EncoderOptions, ModelIdentity, VectorStore, embed_tasks, http, load_encoder
from xqr_bench.encode.endpoint import LANES, MOST_BYTES, Endpoint
from xqr_bench.encode.providers import OTHER_KEY, PROVIDERS, checked_address, is_local, key_variable
from xqr_bench.encode.shards import encoder_key, key_digest
from xqr_bench.rank.index_store import IndexSearcher
from xqr_bench.record import load_record

KEY = "sk-Not-To-Be-Told-0123456789"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time; no key of the machine's is seen."""
    asked: list[float] = []
    monkeypatch.setattr(http.Http, "_wait", lambda self, seconds: asked.append(seconds))
    for variable in {OTHER_KEY, *(provider.variable for provider in PROVIDERS.values())}:
        monkeypatch.delenv(variable, raising=False)
    return asked


def endpoint(server: EmbeddingServer, **options: Any) -> Endpoint:
    bound = load_encoder(server.address, EncoderOptions(**{"served_model": "toy", **options}))
    assert isinstance(bound, Endpoint)
    return bound


TEXTS = [f"text {number}" + " word" * (number % 3) for number in range(10)]


# What is sent.


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_vectors_are_those_of_the_server_in_either_encoding(server: EmbeddingServer, encoding: str) -> None:
    found = endpoint(server, encoding=encoding).encode_queries(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors_of(TEXTS))  # to the bit
    assert server.bodies[0] == {"model": "toy", "input": TEXTS} | (
        {"encoding_format": "base64"} if encoding == "base64" else {}
    )


BEARER = "authorization"
REQUESTS: dict[str, tuple[str, str, tuple[str, str, str] | None, str, object]] = {
    "openai": (BEARER, "dimensions", None, "encoding_format", "base64"),
    "azure": ("api-key", "dimensions", None, "encoding_format", "base64"),
    "cohere": (
        BEARER,
        "output_dimension",
        ("input_type", "search_query", "search_document"),
        "embedding_types",
        ["base64"],
    ),
    "jina": (BEARER, "dimensions", ("task", "retrieval.query", "retrieval.passage"), "embedding_type", "base64"),
    "nvidia": (BEARER, "dimensions", ("input_type", "query", "passage"), "encoding_format", "base64"),
    "voyage": (BEARER, "output_dimension", ("input_type", "query", "document"), "encoding_format", "base64"),
}
"""From the documentation of each: header of the key, columns, what the texts are, and how numbers are written."""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_is_asked_as_it_wants_to_be(
    server: EmbeddingServer, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, dimensions, types, encoding, how = REQUESTS[provider]
    monkeypatch.setenv(OTHER_KEY, f" {KEY}\n")
    asked = endpoint(server, provider=provider, dimensions=4, encoding="base64", query_prompt="q: ")
    np.testing.assert_array_equal(asked.encode_queries(["one two"]), vectors_of(["q: one two"], 4))
    np.testing.assert_array_equal(asked.encode_candidates(["three"]), vectors_of(["three"], 4))
    field = "texts" if provider == "cohere" else "input"
    for body, texts, index in zip(server.bodies, (["q: one two"], ["three"]), (1, 2), strict=True):
        expected = {"model": "toy", field: texts, dimensions: 4, encoding: how}
        assert body == expected | ({} if types is None else {types[0]: types[index]})
    assert {one[header] for one in server.headers} == {KEY if header == "api-key" else f"Bearer {KEY}"}
    assert asked.usage.tokens == 4
    facts = asked.identity.endpoint
    assert facts is not None
    assert (facts.provider, facts.dimensions) == (provider, 4)
    assert (facts.query_type, facts.candidate_type) == ((None, None) if types is None else types[1:])
    assert asked.symmetric is False


def test_without_types_and_prompts_a_text_is_sent_once(server: EmbeddingServer) -> None:
    task = make_task({"en": ["one", "two"]}, {"en": ["one", "two", "three"]})
    bound = endpoint(server)
    found = embed_tasks(bound, [task])["toy"]
    np.testing.assert_array_equal(found.candidates, vectors_of(["one", "two", "three"]))
    assert [body["input"] for body in server.bodies] == [["three", "one", "two"]]
    assert "authorization" not in server.headers[0]  # no key is set
    assert found.truncated is None


def test_requests_are_cut_by_texts_and_by_bytes(server: EmbeddingServer) -> None:
    large = "é" * (MOST_BYTES // 4 + 1)  # two do not fit with more than one other
    found = endpoint(server).encode_queries(["a", large, large, "b", "é" * MOST_BYTES])
    assert [len(body["input"]) for body in server.bodies] == [2, 2, 1]
    np.testing.assert_array_equal(found[[0, 3]], vectors_of(["a", "b"]))
    task = make_task({"en": ["x"]}, {"en": TEXTS})
    server.bodies.clear()
    embed_tasks(endpoint(server, batch_size=4), [task])
    assert sorted(len(body["input"]) for body in server.bodies) == [3, 4, 4]


def test_several_requests_are_under_way_together(server: EmbeddingServer) -> None:
    server.rule = lambda body: Reply(delay=0.02)
    task = make_task({"en": ["x"]}, {"en": [f"text {number}" for number in range(24)]})
    found = embed_tasks(endpoint(server, batch_size=1), [task])["toy"]
    assert 1 < server.most_at_once <= LANES
    np.testing.assert_array_equal(found.candidates, vectors_of([one.text for one in task.candidates]))


def test_truncate_dim_cuts_what_dimensions_asked_for(server: EmbeddingServer) -> None:
    found = endpoint(server, dimensions=5, truncate_dim=3).encode_queries(TEXTS)
    np.testing.assert_array_equal(found, vectors_of(TEXTS, 5)[:, :3])


# What answers come to.


def of_data(change: Any) -> Any:
    """A change of the list of vectors."""
    return lambda answer: answer | {"data": change(answer["data"])}


def test_the_order_is_that_of_the_indices(server: EmbeddingServer) -> None:
    server.replies = [Reply(change=of_data(lambda data: data[::-1]))]
    np.testing.assert_array_equal(endpoint(server).encode_queries(TEXTS), vectors_of(TEXTS))


def embedding(value: object) -> Any:
    return of_data(lambda data: [data[0] | {"embedding": value}, *data[1:]])


BAD = [
    (Reply(change=of_data(lambda data: data[1:])), "9 vectors for 10 texts"),
    (Reply(change=of_data(lambda data: [*data, data[0]])), "11 vectors for 10 texts"),
    (Reply(change=of_data(lambda data: [*data[1:], data[1]])), "two vectors with the index 1"),
    (Reply(change=of_data(lambda data: [data[0] | {"index": 10}, *data[1:]])), "the index 10, from which the order"),
    (Reply(change=of_data(lambda data: [data[0] | {"index": True}, *data[1:]])), "the index True"),
    (Reply(change=of_data(lambda data: [{"embedding": [1.0]}] * 10)), "the index None"),
    (Reply(change=of_data(lambda data: {"0": data})), "no list stands under 'data'; there is: 'object', 'data'"),
    (Reply(change=lambda answer: answer["data"]), "no list stands under 'data'; there is: a list of something else"),
    (Reply(change=lambda answer: {}), "there is: nothing"),
    (Reply(change=embedding("AAAA")), "a str instead of a list of numbers"),
    (Reply(change=embedding([[1.0], [2.0]])), "a list of something else instead of a list of numbers"),
    (Reply(change=embedding([1.0, None])), "instead of a list of numbers"),
    (Reply(change=embedding([1.0, True])), "instead of a list of numbers"),
    (Reply(change=embedding([])), "a vector of 0 columns instead of one or more"),
    (Reply(change=embedding([1.0])), "rows of different lengths"),
    (Reply(change=embedding([float("nan")] * COLUMNS)), "did not answer with JSON .* NaN is no number of JSON"),
    (Reply(change=embedding([1e39] * COLUMNS)), r"not finite in float32.*inf for the query en:q0 of toy"),
    (Reply(change=embedding([0.0] * COLUMNS)), "vectors of only zeros"),
    (Reply(body=b"<html>hello</html>"), "did not answer with JSON found: <html>hello</html>; Expecting value"),
    (Reply(body=b""), "did not answer with JSON found: an empty body"),
    (Reply(body=b'{"data": [{"index": 0, "embe'), "did not answer with JSON"),
    (Reply(body=b'{"error": {"message": "no GPU"}}'), "answered with an error instead of vectors found: no GPU"),
    (Reply(body=b"\xff\xfe"), "did not answer with JSON"),
    (Reply(body=b"[" * 10**6), "did not answer with JSON .* nested more than 64 levels"),
    (Reply(status=204, body=b""), "answered 204"),
    (
        Reply(status=400, body=b'{"error": {"message": "too\\nlong"}}'),
        "answered 400 found: too long to do: see what it",
    ),
    (Reply(status=422, body=b'{"detail": [{"msg": "no"}]}'), r'answered 422 found: \[{"msg": "no"}\]'),
    (Reply(status=401, body=b"{}"), f"{OTHER_KEY} is not set, and no key was sent: .* answered 401 .*set {OTHER_KEY}"),
    (Reply(status=403, body=b'{"message": "not you"}'), f"{OTHER_KEY} is not set.* found: not you"),
    (Reply(status=404, body=b"{}"), "or the model toy is not there: the server answered 404"),
    (
        Reply(status=307, body=b"", headers={"Location": "https://else.where/v1/embeddings?key=secret"}),
        "another address, which is not followed.* found: https://else.where/v1/embeddings to do: if that is",
    ),
    (Reply(status=429, body=b'{"error": {"code": "insufficient_quota"}}'), "answered 429 found"),
    (Reply(status=503, body=b"", headers={"Retry-After": "7200"}), "left alone for 7,200 s"),
]


@pytest.mark.parametrize(("reply", "message"), BAD)
def test_what_is_no_answer_is_one_error(
    server: EmbeddingServer, reply: Reply, message: str, waits: list[float]
) -> None:
    server.replies = [reply]
    texts = sorted(TEXTS, key=lambda text: (-len(text), text))  # as they are sent
    task = make_task({"en": texts[:1]}, {"en": texts})
    with pytest.raises(EncoderError) as caught:
        embed_tasks(endpoint(server), [task])
    assert re.search(message, words(str(caught.value))), str(caught.value)
    assert caught.value.remedy
    assert len(server.bodies) == 1  # none of these is asked again
    assert waits == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0] * COLUMNS, "a list .* instead of base64: give --encoding float"),
        ("A", r"cannot be read as vectors(.|\n)*base64"),
        ("AAAA", "base64 of 3 bytes"),
    ],
)
def test_base64_that_is_none(server: EmbeddingServer, value: object, message: str) -> None:
    server.replies = [Reply(change=embedding(value))]
    with pytest.raises(EncoderError, match=message):
        endpoint(server, encoding="base64").encode_queries(TEXTS)


def test_nan_in_base64_is_told_with_its_text(server: EmbeddingServer) -> None:
    nan = base64.b64encode(np.full(COLUMNS, np.nan, "<f4").tobytes()).decode()
    server.replies = [Reply(change=embedding(nan))]
    with pytest.raises(EncoderError, match="nan for the query en:q0 of toy"):
        embed_tasks(endpoint(server, encoding="base64"), [make_task({"en": ["one"]}, {"en": ["one"]})])


def test_columns_that_were_not_asked_for(server: EmbeddingServer) -> None:
    server.replies = [Reply(change=lambda answer: server.answer({"model": "toy", "input": TEXTS}))]
    with pytest.raises(EncoderError, match="a vector of 6 columns instead of 4"):
        endpoint(server, dimensions=4).encode_queries(TEXTS)
    bound = endpoint(server, batch_size=5)
    server.rule = lambda body: Reply(change=embedding([1.0])) if len(body["input"]) == 1 else None
    with pytest.raises(EncoderError, match=r"vectors of different dimensions\n  found: 6 columns before, 1 for"):
        embed_tasks(bound, [make_task({"en": ["x"]}, {"en": TEXTS})])


@pytest.mark.parametrize(
    ("models", "listed"),
    [
        ({"data": [{"id": "one"}, {"id": "two\x1b[31m"}]}, "it lists: one, two\ufffd[31m"),
        ({"models": [{"name": "three"}]}, "it lists: three"),
        ({"data": 3}, "{}"),
        (None, "{}"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_those_that_are(
    server: EmbeddingServer, models: object, listed: str
) -> None:
    server.models, server.replies = models, [Reply(status=404, body=b"{}")]
    with pytest.raises(EncoderError) as caught:
        endpoint(server).encode_queries(TEXTS)
    assert caught.value.found is not None
    assert caught.value.found.endswith(listed)
    if models is not None and listed != "{}":
        with pytest.raises(UsageError, match="needs the name of a model: --model NAME; it lists: "):
            load_encoder(server.address)


def test_a_request_that_is_too_large_is_halved_and_those_after_it_too(server: EmbeddingServer) -> None:
    server.rule = lambda body: Reply(status=413, body=b'{"message": "at most 3"}') if len(body["input"]) > 3 else None
    bound = endpoint(server)
    np.testing.assert_array_equal(bound.encode_queries(TEXTS), vectors_of(TEXTS))
    assert [len(body["input"]) for body in server.bodies] == [10, 5, 2, 3, 5, 2, 3]
    server.bodies.clear()
    np.testing.assert_array_equal(bound.encode_queries(TEXTS), vectors_of(TEXTS))
    assert [len(body["input"]) for body in server.bodies] == [2] * 5
    server.rule = lambda body: (
        Reply(status=413, body=b'{"message": "at most 3 words"}') if "text 5" in body["input"][0] else None
    )
    with pytest.raises(
        EncoderError, match=r"a text is too large for .*\n  found: .* bytes, beginning 'text 5 word word'"
    ):
        endpoint(server).encode_queries([TEXTS[5]])


def test_what_the_server_says_of_itself_is_in_the_warnings(server: EmbeddingServer) -> None:
    bound = endpoint(server, price_per_million_tokens=2)
    assert "may change behind the name" in bound.warnings[0]
    server.replies = [Reply(change=lambda answer: answer | {"model": "other\x1b\n"})]
    bound.encode_queries(TEXTS)
    assert bound.warnings[1] == f"asked for toy, {server.address} says that other\ufffd answered"
    assert (bound.usage.tokens, bound.usage.cost) == (29, 29 * 2 / 1e6)
    server.replies = [Reply(change=lambda answer: {"data": answer["data"]})]
    bound.encode_queries(TEXTS)
    assert (bound.usage.tokens, bound.usage.cost) == (None, None)  # a sum of some would be wrong
    assert "does not say how many tokens it read, so there is no cost" in bound.warnings[2]
    sizes = [len(json.dumps(body, separators=(",", ":"))) for body in server.bodies]
    assert (bound.usage.requests, bound.usage.retries, bound.usage.bytes_sent) == (2, 0, sum(sizes))


# Failures that pass, and others.

BUSY = Reply(status=429, body=b'{"error": "slower"}')


def test_failures_that_pass_are_tried_again_with_growing_pauses(server: EmbeddingServer, waits: list[float]) -> None:
    server.replies = [Reply(status=500), BUSY, Reply(drop=True), Reply(cut=5), Reply(status=503)]
    bound = endpoint(server)
    np.testing.assert_array_equal(bound.encode_queries(TEXTS), vectors_of(TEXTS))
    assert len(waits) == 5
    for pause, wait in zip(http.PAUSES_SECONDS, waits, strict=False):
        assert pause <= wait <= 1.5 * pause
    assert (bound.usage.requests, bound.usage.retries, bound.usage.tokens) == (6, 5, 29)


def test_retry_after_is_kept_in_seconds_and_as_a_date(server: EmbeddingServer, waits: list[float]) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    after = ["100", then, past, "-5", "soon", "9" * 400]
    server.replies = [Reply(status=429, body=b"", headers={"Retry-After": text}) for text in after]
    with pytest.raises(EncoderError, match="left alone for 999,999,999 s"):
        endpoint(server).encode_queries(TEXTS)
    assert waits[0] == 100
    assert 190 < waits[1] <= 200
    assert all(wait <= 1.5 * pause for wait, pause in zip(waits[2:], http.PAUSES_SECONDS[2:], strict=False))


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (BUSY, r"answered 429 \(7 attempts\)\n  found: slower\n  to do: wait, or ask for a higher limit"),
        (Reply(status=500, body=b"down"), r"answered 500 \(7 attempts\)\n  found: down\n  to do: look at the server"),
        (Reply(drop=True), r"broke the connection off \(7 attempts\)\n  found: Remote end closed"),
        (Reply(cut=5), r"broke the connection off \(7 attempts\)\n  found: the connection ended after [\d,]+ of"),
    ],
)
def test_failures_that_stay_are_told(server: EmbeddingServer, reply: Reply, message: str) -> None:
    server.rule = lambda body: reply
    with pytest.raises(EncoderError, match=message):
        endpoint(server).encode_queries(TEXTS)
    assert len(server.bodies) == len(http.PAUSES_SECONDS) + 1


@pytest.mark.parametrize("reply", [Reply(delay=0.4), Reply(delay=0.01, trickle=True)])
def test_a_server_that_is_silent_or_trickles_is_not_waited_for(
    server: EmbeddingServer, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", 0.1)
    server.rule = lambda body: reply
    with pytest.raises(EncoderError, match=r"did not answer within 0.1 s \(2 attempts\)\n  to do: .*--batch-size"):
        endpoint(server).encode_queries(TEXTS)


def test_an_answer_without_end_is_not_read(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.encode.endpoint._MOST_OF_TEXT", 10)
    with pytest.raises(
        EncoderError, match="is larger than vectors of these texts can be\n  found: more than 110 bytes"
    ):
        endpoint(server).encode_queries(TEXTS)


def test_nobody_there_is_told_at_once(waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bound = load_encoder(f"http://127.0.0.1:{port}/v1", EncoderOptions(served_model="toy"))
    with pytest.raises(EncoderError, match=r"/v1 cannot be reached\n  found: Connection refused\n  to do: check that"):
        bound.encode_queries(["x"])  # type: ignore[attr-defined]
    for host in ("not-there.invalid", "a..b"):
        with pytest.raises(EncoderError, match=f"http://{host}/v1 cannot be reached"):
            load_encoder(f"http://{host}/v1", EncoderOptions(served_model="toy")).encode_queries(["x"])  # type: ignore[attr-defined]
    assert waits == []


def test_a_connection_that_is_not_made_in_time_is_told_at_once(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    def connect(*arguments: object, **more: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(
        EncoderError, match=r"/v1 cannot be reached\n  found: timed out\n  to do: check that the server"
    ):
        endpoint(server).encode_queries(["x"])
    assert waits == []


def test_a_server_that_goes_away_is_waited_for(server: EmbeddingServer, waits: list[float]) -> None:
    bound = endpoint(server)
    bound.encode_queries(TEXTS)
    server.__exit__()
    with pytest.raises(EncoderError, match=r"cannot be reached \(7 attempts\)"):
        bound.encode_queries(TEXTS)
    assert len(waits) == len(http.PAUSES_SECONDS)
    server.__enter__()


def test_a_server_without_tls_is_told(server: EmbeddingServer) -> None:
    address = server.address.replace("http:", "https:")
    with pytest.raises(EncoderError, match=r"no secure connection to https(.|\n)*plain HTTP, write http://"):
        load_encoder(address, EncoderOptions(served_model="toy")).encode_queries(["x"])  # type: ignore[attr-defined]


def test_a_certificate_that_nobody_knows_is_told(tmp_path: Path) -> None:
    how = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    made = subprocess.run(["openssl", *how.split()], cwd=tmp_path, capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl, which makes a certificate, is not there")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with pytest.raises(OSError, match=r"(?i)certificate|unknown"):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"https://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(EncoderError, match=r"is not trusted\n  found: self.signed certificate\n.*SSL_CERT_FILE"):
            load_encoder(address, EncoderOptions(served_model="toy")).encode_queries(["x"])  # type: ignore[attr-defined]
        thread.join()


def test_an_error_in_one_lane_ends_the_waiting_of_the_others(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the pauses are real here
    server.rule = lambda body: Reply(status=400, body=b"no", delay=0.1) if "bad" in body["input"] else BUSY
    server.replies = [Reply()]
    task = make_task({"en": ["bad"]}, {"en": ["a longer first text", "bad", "one", "two", "six"]})
    with pytest.raises(EncoderError, match="answered 400"):
        embed_tasks(endpoint(server, batch_size=1), [task])
    assert len(server.bodies) <= 2 + LANES  # nobody was asked twice


# Keys.


def test_whose_key_is_sent_to_whom() -> None:
    variables = {
        ("openai", "https://api.openai.com/v1"): "OPENAI_API_KEY",
        ("openai", "http://api.openai.com/v1"): OTHER_KEY,
        ("openai", "https://api.openai.com.evil.org/v1"): OTHER_KEY,
        ("openai", "http://127.0.0.1:8000/v1"): OTHER_KEY,
        ("azure", "https://mine.openai.azure.com/openai/v1"): "AZURE_OPENAI_API_KEY",
        ("azure", "https://evilopenai.azure.com/openai/v1"): OTHER_KEY,
        ("cohere", "https://api.cohere.com/v2"): "CO_API_KEY",
        ("cohere", "https://api.openai.com/v1"): OTHER_KEY,
        ("voyage", "https://api.voyageai.com:8443/v1"): "VOYAGE_API_KEY",
    }
    assert {(one, url): key_variable(PROVIDERS[one], url) for one, url in variables} == variables


ECHO = json.dumps({"error": {"message": f"Incorrect key Bearer {KEY}, see \x1b[2J{KEY}" + "x" * 10**5}}).encode()


@pytest.mark.parametrize("status", [401, 403, 400, 429, 500, 200])
def test_a_key_is_in_no_error_and_no_traceback(
    server: EmbeddingServer, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(OTHER_KEY, KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "another-that-stays-here")
    server.rule = lambda body: Reply(status=status, body=ECHO)
    arguments = ["evaluate", server.address, "--model", "toy", "--limit", "1", "--output", str(tmp_path / "out")]
    done = run(*arguments, "--traceback")
    assert done.code == 1
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "[key]" in done.err
    assert "\x1b" not in done.err
    assert KEY not in done.out + done.err
    assert max(map(len, done.err.splitlines())) < 500
    if status == 401:
        assert f"the key in {OTHER_KEY} is not accepted" in done.err


def test_a_key_is_in_no_record(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(OTHER_KEY, KEY)
    server.rule = lambda body: Reply(change=lambda answer: answer | {"model": f"toy of {KEY}"})
    cache = tmp_path / "cache"
    monkeypatch.setenv("XQR_BENCH_CACHE", str(cache))
    done = ran("evaluate", server.address, "--model", "toy", "--limit", "1", "--output", str(tmp_path / "out"))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 4
    assert all(KEY.encode() not in path.read_bytes() for path in written)
    assert KEY not in done.out + done.err
    (record,) = (tmp_path / "out").rglob("mini.json")
    assert "toy of [key] answered" in " ".join(read_json(record)["warnings"])
    assert "sent unencrypted" in " ".join(read_json(record)["warnings"])


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_what_is_no_key_is_refused_and_not_told(
    server: EmbeddingServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OTHER_KEY, key)
    with pytest.raises(UsageError, match=f"{OTHER_KEY} holds what is no key") as caught:
        endpoint(server)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        f"https://{KEY}@host/v1", f"https://user:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"HTTPS://host/v1#{KEY}",
        f"https://host/v1?{KEY}", f"http://host:port{KEY}/v1", f"http://[{KEY}/v1", f"http:///{KEY}", f"http://hö/{KEY}",
        f"http://host/ {KEY}", "http://",
    ],
)  # fmt: skip
def test_a_key_in_the_address_is_refused_and_not_told(address: str) -> None:
    done = run("evaluate", address, "--model", "toy", "--traceback")
    assert done.code != 0
    assert "the address of" in done.err
    assert KEY not in done.err + done.out


def test_addresses_have_one_spelling() -> None:
    assert checked_address("HTTP://Host:8000/V1/") == "http://host:8000/V1"
    local = ["http://localhost:1/v1", "http://127.0.0.1/v1", "http://[::1]:8/v1", "http://10.1.2.3/v1", "http://gpu/v1"]
    assert all(map(is_local, local))
    assert not any(map(is_local, ["https://api.openai.com/v1", "http://8.8.8.8/v1"]))
    with pytest.raises(UsageError, match="leave /embeddings out"):
        load_encoder("http://host/v1/embeddings", EncoderOptions(served_model="toy"))


# Options.


def test_options_that_mean_nothing_to_an_endpoint_are_refused_and_its_own_elsewhere(model: Path) -> None:
    with pytest.raises(UsageError, match=r"--device, --dtype cannot be used with an endpoint(.|\n)*--model"):
        load_encoder("http://host/v1", EncoderOptions(served_model="toy", device="cpu", dtype="float32"))
    own = {
        "served_model": "x",
        "provider": "jina",
        "dimensions": 3,
        "encoding": "float",
        "price_per_million_tokens": 1.0,
    }
    assert own.keys() <= {one.name for one in fields(EncoderOptions)}
    flags = {"served_model": "--model"} | {
        name: "--" + name.replace("_", "-") for name in own if name != "served_model"
    }
    for name, value in own.items():
        for other in ("char-ngrams", str(model), "bm25"):
            done = run("evaluate", other, flags[name], str(value), "--dry-run")
            assert done.code != 0
            assert f"{flags[name]} cannot be used with" in done.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"provider": "openia"}, "--provider cannot be 'openia'(.|\n)*use one of: openai, azure"),
        ({"encoding": "int8"}, "--encoding cannot be 'int8'"),
        ({"dimensions": 0}, "--dimensions cannot be 0"),
        ({"price_per_million_tokens": -1.0}, "--price-per-million-tokens cannot be -1"),
        ({"price_per_million_tokens": float("nan")}, "--price-per-million-tokens cannot be nan"),
        ({"served_model": "a\nb"}, "--model 'a.nb' holds characters that cannot be seen"),
    ],
)
def test_options_are_checked(option: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EncoderOptions(**option)


# The embedding store.


def texts_of(server: EmbeddingServer) -> list[str]:
    return [text for body in server.bodies for text in body["input"]]


def test_what_was_paid_for_is_not_asked_again(server: EmbeddingServer, tmp_path: Path) -> None:
    task = make_task({"en": ["text 0"]}, {"en": [f"text {number}" for number in range(60)]})
    store = VectorStore(tmp_path / "cache", shard_texts=10)
    server.rule = lambda body: Reply(status=400, body=b"out of money") if len(server.bodies) > 20 else None
    with pytest.raises(
        EncoderError, match=r"out of money(.|\n)*texts encoded before are kept: the same command goes on"
    ):
        embed_tasks(endpoint(server, batch_size=2), [task], store=store)
    paid = len(set(texts_of(server)))
    server.rule = lambda body: None
    server.bodies.clear()
    found = embed_tasks(endpoint(server, batch_size=2), [task], store=store)["toy"]
    np.testing.assert_array_equal(found.candidates, vectors_of([one.text for one in task.candidates]))
    assert 20 <= found.stored_texts <= paid
    witnesses = 16  # of queries one, of candidates eight: each in one of the roles
    assert len(server.bodies) <= (60 - found.stored_texts + witnesses) / 2 + 1
    server.bodies.clear()
    whole = embed_tasks(endpoint(server), [task], store=store)["toy"]
    assert (whole.stored_texts, whole.candidates.tobytes()) == (60, found.candidates.tobytes())
    assert len(texts_of(server)) <= witnesses


def test_another_model_behind_the_name_is_found_out(server: EmbeddingServer, tmp_path: Path) -> None:
    task = make_task({"en": ["text 0"]}, {"en": TEXTS})
    store, seen = VectorStore(tmp_path / "cache"), Seen()
    embed_tasks(endpoint(server), [task], store=store)
    noisy = lambda data: [one | {"embedding": [x * 1.01 for x in one["embedding"]]} for one in data]  # noqa: E731
    server.rule = lambda body: Reply(change=of_data(noisy))  # as half precision is
    kept = embed_tasks(endpoint(server), [task], store=store, observe=seen)["toy"]
    assert (kept.stored_texts, seen.notes) == (len(TEXTS), [])
    server.rule, server.salt = lambda body: None, "another"
    found = embed_tasks(endpoint(server), [task], store=store, observe=seen)["toy"]
    np.testing.assert_array_equal(found.candidates, [vector_of(text, salt="another") for text in TEXTS])
    assert "has another vector now" in seen.notes[0]


def test_what_decides_a_vector_is_in_the_key(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(**options: Any) -> str:
        return key_digest(encoder_key(endpoint(server, **options), "query"))

    plain = digest()
    monkeypatch.setenv(OTHER_KEY, KEY)
    for same in (
        {"name": "other"}, {"encoding": "base64"}, {"price_per_million_tokens": 1.0}, {"batch_size": 2},
        {"truncate_dim": 2}, {"similarity": "dot"},
    ):  # fmt: skip
        assert digest(**same) == plain
    others = [{"served_model": "b"}, {"provider": "voyage"}, {"dimensions": 3}, {"query_prompt": "q"}]
    assert len({plain, *(digest(**other) for other in others)}) == 1 + len(others)
    monkeypatch.setattr("xqr_bench.encode.shards._version", lambda name: "2.0")  # torch does not compute these
    assert digest() == plain
    with EmbeddingServer() as elsewhere:
        assert key_digest(encoder_key(endpoint(elsewhere), "query")) != plain


# Records.


@pytest.fixture
def record(server: EmbeddingServer, tmp_path: Path) -> Path:
    """Of the whole demonstration."""
    arguments = ["--model", "toy", "--provider", "nvidia", "--price-per-million-tokens", "3", "--output", str(tmp_path)]
    done = ran("evaluate", f"{server.address}/", *arguments, "--no-cache", "--no-relevance", "--metrics", "map")
    assert "requests so far (0 sent again), " in words(done.err)
    return tmp_path / "toy" / "mini.json"


def test_the_record_says_what_was_asked_and_reproduce_what_is_needed(server: EmbeddingServer, record: Path) -> None:
    made = load_record(record)
    use, identity = made.provenance.endpoint, made.model.identity
    assert use is not None
    assert use.requests == len(server.bodies)
    tokens = sum(len(text.split()) for text in texts_of(server))
    assert (use.tokens, use.cost) == (tokens, tokens * 3 / 1e6)
    assert identity.kind == "endpoint"
    assert read_json(record)["model"]["identity"]["endpoint"] == {
        "url": server.address, "provider": "nvidia", "query_type": "query", "candidate_type": "passage",
    }  # fmt: skip
    command = reproduce_command(made)
    assert command.command.startswith(f"xqr-bench evaluate {server.address}/ --task mini --model toy --provider nvidia")
    assert command.needs == f"a server at {server.address} that still serves toy as it did, and a key for it"
    assert "another server on another machine" in (why_unrepeatable(made) or "")
    asked = len(server.bodies)
    done = run("reproduce", str(record))
    assert done.code == 1
    assert f"only when it is named found: {server.address} --model toy" in words(done.err)
    assert f"a key for it stands in {OTHER_KEY}" in words(done.err)
    assert len(server.bodies) == asked  # a record makes nobody send a key anywhere
    done = ran("reproduce", str(record), "--model", server.address, "--by", "somebody")
    assert "the ranks agree, but the record is of an endpoint at" in words(done.out)
    assert "0 (0.00%" in done.out
    assert not list(record.parent.glob("*reproduced*"))


def test_the_same_command_is_answered_by_the_record_and_another_is_not(server: EmbeddingServer, record: Path) -> None:
    same = ["--model", "toy", "--output", str(record.parent.parent), "--no-relevance", "--metrics", "map"]
    server.bodies.clear()
    assert "is there already" in words(ran("evaluate", server.address, *same, "--provider", "nvidia").err)
    done = run("evaluate", server.address, *same, "--provider", "voyage")
    assert "answers another request than this one" in words(done.err)
    assert server.bodies == []


def test_a_dry_run_asks_for_one_question(server: EmbeddingServer, tmp_path: Path) -> None:
    done = ran("evaluate", server.address, "--model", "toy", "--dry-run", "--output", str(tmp_path / "out"))
    assert "vectors of 6 dimensions" in done.out
    assert not (tmp_path / "out").exists()


def test_an_identity_without_an_address_or_with_a_secret_in_it_is_none() -> None:
    with pytest.raises(ValueError, match="an endpoint says its address"):
        ModelIdentity(kind="endpoint", name="x")
    facts = {"url": "https://host/v1", "provider": "openai"}
    with pytest.raises(ValueError, match="nothing else has one"):
        ModelIdentity.model_validate({"kind": "mteb", "name": "x", "endpoint": facts})
    for wrong in ({"provider": "x\x1b[2J"}, {"query_type": "q" * 99}, {"url": "https://host/" + "a" * 3000}):
        with pytest.raises(ValueError, match="no short words"):
            ModelIdentity.model_validate({"kind": "endpoint", "name": "x", "endpoint": facts | wrong})
    for url in (f"https://{KEY}@host/v1", "https://host/v1?a=b", "https://HOST/v1", "ftp://host"):
        with pytest.raises(ValueError, match="address of") as caught:
            ModelIdentity.model_validate(
                {"kind": "endpoint", "name": "x", "endpoint": {"url": url, "provider": "openai"}}
            )
        assert "messages show" not in str(caught.value)


def test_a_saved_index_asks_nobody_by_itself(server: EmbeddingServer, tmp_path: Path) -> None:
    index = str(tmp_path / "index")
    made = ["--index", "flat", "--save-index", index, "--output", str(tmp_path / "out"), "--limit", "2"]
    ran("evaluate", server.address, "--model", "toy", "--no-cache", "--no-relevance", "--metrics", "recall@1", *made)
    asked = len(server.bodies)
    with pytest.raises(
        XqrBenchError, match="names an endpoint, which is asked, and perhaps paid, only when you name it"
    ):
        IndexSearcher(index)
    assert len(server.bodies) == asked
    assert ran("search", index, "where?", "--model", server.address).out
    assert len(server.bodies) == asked + 1
