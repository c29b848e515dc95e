"""Encoders with the methods of other libraries: which are called, with what, and what the record says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.encode.toys import TOY, Returning, vector_of
from tests.kit import Seen, read_json, run
from xqr_bench.board.reproduce import reproduce
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.options import key_values
from xqr_bench.encode import Embeddings, EncoderOptions, embed_tasks, load_encoder

QUERIES = [vector_of(query.text) for query in TOY.queries]
CANDIDATES = [vector_of(candidate.text) for candidate in TOY.candidates]


def embedded(thing: Any, **options: Any) -> tuple[Embeddings, list[str]]:
    bound = load_encoder(thing, EncoderOptions(**options))
    return embed_tasks(bound, [TOY], observe=Seen())["toy"], bound.warnings


def rows(texts: list[str]) -> list[list[float]]:
    assert isinstance(texts, list)
    return [vector_of(text) for text in texts]


def minus(texts: list[str]) -> list[list[float]]:
    """Rows that tell that another method was called."""
    return [[-value for value in row] for row in rows(texts)]


class LangChain:
    def embed_documents(self, texts: list[str]) -> Any:
        return minus(texts)

    def embed_query(self, text: str) -> Any:
        assert isinstance(text, str)
        return vector_of(text)


class LlamaIndex:
    def get_query_embedding(self, query: str) -> Any:
        assert isinstance(query, str)
        return vector_of(query)

    def get_text_embedding_batch(self, texts: list[str], show_progress: bool = False, **more: Any) -> Any:
        return minus(texts)

    def similarity(self, one: list[float], other: list[float], mode: str = "cosine") -> float:
        return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))

    def __call__(self, nodes: list[Any], **more: Any) -> Any:
        raise AssertionError


class FastEmbed:
    def embed(self, documents: Any, batch_size: int = 256, parallel: int | None = None) -> Iterator[Any]:
        yield from map(np.array, minus(documents))

    def passage_embed(self, texts: Any, **more: Any) -> Iterator[Any]:
        yield from self.embed(texts, **more)

    def query_embed(self, query: Any, **more: Any) -> Iterator[Any]:
        yield from map(np.array, rows(query))


class Beir:
    def encode_queries(self, queries: list[str], batch_size: int = 16, **more: Any) -> Any:
        return rows(queries)

    def encode_corpus(self, corpus, batch_size: int = 8, **more: Any) -> Any:  # type: ignore[no-untyped-def]
        return minus([(one["title"] + " " + one["text"]).strip() if "title" in one else one["text"] for one in corpus])


class AnnotatedBeir(Beir):
    def encode_corpus(self, corpus: list[dict[str, str]] | dict[str, list[str]], **more: Any) -> Any:
        return super().encode_corpus(corpus)


class FlagEmbedding:
    def encode_queries(self, queries: list[str] | str, batch_size: int | None = None) -> Any:
        return {"dense_vecs": np.array(rows(queries), np.float32), "lexical_weights": None}  # type: ignore[arg-type]

    def encode_corpus(self, corpus: list[str] | str, batch_size: int | None = None) -> Any:
        return {"dense_vecs": np.array(minus(corpus), np.float32), "lexical_weights": [{}]}  # type: ignore[arg-type]

    def encode(self, sentences: Any) -> Any:
        raise AssertionError


BEIR = "read by encode_queries for queries and encode_corpus for candidates, which is given "


@pytest.mark.parametrize(
    ("encoder", "told"),
    [
        (LangChain, ["read as LangChain has it: embed_query for queries, embed_documents for candidates"]),
        (
            LlamaIndex,
            [
                "read as LlamaIndex has it: get_query_embedding for queries, get_text_embedding_batch for candidates",
                "its method similarity() computes cosine of vectors drawn at random: ranked by that",
            ],
        ),
        (FastEmbed, ["read as FastEmbed has it: query_embed for queries, passage_embed for candidates"]),
        (Beir, [BEIR + "documents with title and text, as BEIR has it"]),
        (AnnotatedBeir, [BEIR + "documents with title and text, as BEIR has it"]),
        (
            FlagEmbedding,
            [
                BEIR + "texts, as annotated",
                "its dense_vecs are scored; lexical_weights, which it returns too, are not",
            ],
        ),
    ],
)
def test_queries_and_candidates_go_through_the_methods_of_a_library(encoder: type, told: list[str]) -> None:
    found, warnings = embedded(encoder())
    np.testing.assert_array_equal(found.queries, np.float32(QUERIES))
    np.testing.assert_array_equal(found.candidates, -np.float32(CANDIDATES))
    assert sorted(warnings) == sorted(told)


def test_one_method_for_both() -> None:
    class Embed:
        def embed(self, documents: list[str]) -> Iterator[Any]:
            yield from rows(documents)

    class Called:
        def __call__(self, texts: list[str]) -> Any:
            return rows(texts)

    def make() -> Any:
        return rows

    of_function = "read as a function from a list of texts to their rows"
    of_embed = "read as FastEmbed has it: embed for queries, embed for candidates"
    for thing, told in ((Embed, of_embed), (rows, of_function), (Called, of_function), (make, of_function)):
        bound = load_encoder(thing)
        assert bound.symmetric  # type: ignore[attr-defined]
        np.testing.assert_array_equal(embed_tasks(bound, [TOY])["toy"].candidates, np.float32(CANDIDATES))
        assert bound.warnings == [told]
    bound = load_encoder(rows)
    assert (bound.name, bound.identity.name, bound.identity.digest is not None) == ("rows", "rows", True)
    assert load_encoder(partial(rows)).name == "partial"


def test_a_file_names_a_function_of_texts_or_one_that_makes_an_encoder(tmp_path: Path) -> None:
    file = tmp_path / "functions.py"
    file.write_text(
        "def ones(texts): return [[1.0, len(t)] for t in texts]\n"
        "def make(width=2): return lambda texts: [[1.0] * width for t in texts]\n"
    )
    assert embedded(f"{file}:ones")[0].queries[0].tolist() == [1.0, len("Who wrote it?")]
    assert embedded(f"{file}:make", encoder_arg={"width": 3})[0].dimensions == 3
    assert load_encoder(f"{file}:ones").identity.digest is not None


def test_of_two_conventions_it_is_told_which_was_taken() -> None:
    class Both(LangChain):
        def transform(self, texts: list[str]) -> Any:
            raise AssertionError

        def encode(self, texts: list[str]) -> Any:
            return rows(texts)

    assert embedded(Both())[1] == [
        "read by encode for queries and encode for candidates; its methods of LangChain and scikit-learn are not used"
    ]

    class Mixed:
        def encode_queries(self, texts: list[str]) -> Any:
            return rows(texts)

        encode_document = encode_query = encode_queries

    assert embedded(Mixed())[1] == ["read by encode_queries for queries and encode_document for candidates"]


def test_half_of_a_convention_is_refused() -> None:
    class Half:
        def embed_query(self, text: str) -> Any:
            return vector_of(text)

    with pytest.raises(EncoderError, match=r"cannot encode queries(.|\n)*methods: embed_query\n.*docs/encoders.md"):
        load_encoder(Half())

    class Needy(LangChain):
        def embed_query(self, text: str, model: str) -> Any:  # type: ignore[override]
            return vector_of(text)

    with pytest.raises(EncoderError, match=r"embed_query cannot be called with one text alone\n.*'model'"):
        load_encoder(Needy())


def test_pipelines_of_scikit_learn() -> None:
    fitted = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 2)).fit([query.text for query in TOY.queries])
    found, warnings = embedded(fitted)
    expected = fitted.transform([candidate.text for candidate in TOY.candidates]).toarray()
    np.testing.assert_array_equal(found.candidates, expected.astype(np.float32))
    assert warnings == [
        "read as scikit-learn has it: transform for queries, transform for candidates",
        "its rows are sparse and made dense, which changes no number",
    ]
    dense = make_pipeline(fitted, FunctionTransformer(lambda matrix: 2 * matrix.toarray()))
    found, warnings = embedded(dense)
    np.testing.assert_array_equal(found.candidates, (2 * expected).astype(np.float32))
    assert len(warnings) == 1
    with pytest.raises(EncoderError, match="NotFittedError"):
        embedded(make_pipeline(TfidfVectorizer()))


@pytest.mark.parametrize("kind", [csr_matrix, coo_array])
def test_a_sparse_matrix_is_made_dense_where_it_fits(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = Returning(lambda texts: kind(np.array(rows(texts))))
    np.testing.assert_array_equal(embedded(thing)[0].queries, np.float32(QUERIES))
    monkeypatch.setattr("xqr_bench.encode.conventions.free_memory", lambda: 3 * 8 * 2)  # of two rows of float64
    np.testing.assert_array_equal(embedded(thing)[0].queries, np.float32(QUERIES))
    monkeypatch.setattr("xqr_bench.encode.conventions.free_memory", lambda: 3 * 8 - 1)
    with pytest.raises(EncoderError, match=r"MemoryError: a sparse matrix of shape \(1, 3\) made dense has 24 bytes"):
        embedded(thing)


def test_vectors_that_cannot_fit_in_memory_are_refused_after_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def encode(texts: list[str]) -> Any:
        calls.append(len(texts))
        return csr_matrix(np.array(rows(texts)))

    monkeypatch.setattr("xqr_bench.encode.embed.free_memory", lambda: 8 * 3 * 4 - 1)
    with pytest.raises(EncoderError, match=r"do not fit in memory\n  found: 8 texts × 3 columns(.|\n)*max_features"):
        embedded(Returning(encode), batch_size=2)
    assert calls == [2]
    monkeypatch.setattr("xqr_bench.encode.embed.free_memory", lambda: 8 * 3 * 4)
    embedded(Returning(encode))


class Asynchronous:
    def __init__(self) -> None:
        self.loops: list[object] = []
        self.closed = False

    async def embed_query(self, text: str) -> Any:
        self.loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return vector_of(text)

    async def embed_documents(self, texts: list[str]) -> AsyncIterator[Any]:
        self.loops.append(asyncio.get_running_loop())
        for text in texts:
            await asyncio.sleep(0)
            yield vector_of(text)

    async def truncated(self, texts: list[str]) -> list[bool]:
        return [len(text) > 14 for text in texts]

    async def close(self) -> None:
        self.closed = asyncio.get_running_loop() is self.loops[0]


def test_async_methods_are_waited_for_in_one_loop() -> None:
    made: list[Asynchronous] = []

    def make() -> Asynchronous:
        made.append(Asynchronous())
        return made[-1]

    def embed() -> None:
        bound = load_encoder(make)
        found = embed_tasks(bound, [TOY])["toy"]
        np.testing.assert_array_equal(found.queries, np.float32(QUERIES))
        np.testing.assert_array_equal(found.candidates, np.float32(CANDIDATES))
        assert found.truncated is not None
        assert found.truncated["en"] == {"queries": 1, "candidates": 1}
        bound.close()
        assert made[-1].closed
        assert len(set(made[-1].loops)) == 1

    async def in_a_notebook() -> None:
        embed()

    embed()
    asyncio.run(in_a_notebook())


def test_an_async_function_that_fails_is_located() -> None:
    async def encode(texts: list[str]) -> Any:
        raise ConnectionError("refused")

    with pytest.raises(EncoderError, match=r"ConnectionError: refused \(.*test_conventions.py, line \d+\)"):
        embedded(encode)


# What similarity() is.


def cosines(a: Any, b: Any) -> Any:
    return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)


def of_torch(a: Any, b: Any) -> Any:
    return torch.mm(a, b.transpose(0, 1))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (cosines, "cosine"),
        (lambda a, b: a @ b.T, "dot"),
        (of_torch, "dot"),
        (lambda a, b: sum(x * y for x, y in zip(a, b, strict=True)), "dot"),
    ],
)
def test_a_method_that_computes_cosine_or_dot_is_ranked_by_it(method: Any, name: str) -> None:
    class Own(Returning):
        similarity = staticmethod(method)

    bound = load_encoder(Own(rows))
    assert bound.similarity == name
    assert bound.warnings == [f"its method similarity() computes {name} of vectors drawn at random: ranked by that"]


@pytest.mark.parametrize(
    "method",
    [
        lambda a, b: -np.linalg.norm(a[:, None] - b[None], axis=2),
        lambda a, b: np.maximum(cosines(a, b), 0),
        lambda a, b: (a > 0).astype(float) @ (b > 0).T,
        lambda a, b: 1 / 0,
        lambda a: a,
    ],
)
def test_any_other_method_is_refused_unless_it_is_said_what_to_do(method: Any) -> None:
    class Own(Returning):
        similarity = staticmethod(method)

    with pytest.raises(EncoderError, match=r"without a matrix product(.|\n)*--similarity cosine, or dot"):
        load_encoder(Own(rows))
    bound = load_encoder(Own(rows), EncoderOptions(similarity="dot"))
    assert (bound.similarity, bound.warnings) == ("dot", [])


# Arguments of what makes the encoder.


def test_values_are_scalars_of_json_or_text() -> None:
    texts = ["a=1", "b=0.5", "c=true", "d=null", 'e="1"', "f=models/x=y", "g=", "h=[CLS]"]
    assert key_values(texts) == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": "1",
        "f": "models/x=y",
        "g": "",
        "h": "[CLS]",
    }
    for wrong in (["a"], ["=1"], ["two words=1"], ["a=1", "a=2"], ["a=NaN"], ["a=" + "9" * 30]):
        with pytest.raises(ValueError, match=r"write each|give a once|a text stands in quotes"):
            key_values(wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": [1]}, r"cannot hand over a=\[1\]"),
        ({"two words": 1}, "cannot hand over two words"),
        ({"a": float("nan")}, "a is not finite"),
        ({"api_key": "x"}, "api_key looks like a secret"),
        ({"token": "x"}, "token looks like a secret"),
    ],
)
def test_arguments_that_a_record_should_not_hold(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EncoderOptions(encoder_arg=given)


@pytest.mark.parametrize("given", [{"api_key": "x"}, {"config": {"hf_token": "x"}}])
def test_no_secret_of_the_model_gets_into_a_record(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"--model-kwargs .* looks like a secret") as error:
        EncoderOptions(model_kwargs=given)
    assert "'x'" not in str(error.value)
    EncoderOptions(model_kwargs={"token": True})


CODE = """
class Scaled:
    def __init__(self, letters, scale=1):
        self.letters, self.scale = letters, scale

    def encode(self, texts):
        return [[self.scale + t.count(letter) for letter in self.letters] for t in texts]


scaled = Scaled("abc")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scaled.py").write_text(CODE)
    return "scaled.py:Scaled"


def test_the_record_has_the_arguments_and_reproduce_takes_them_again(code: str) -> None:
    given = ["--encoder-arg", "letters=eio", "--encoder-arg", "scale=2"]
    done = run("evaluate", code, "--task", "mini", *given, "--quiet")
    assert done.code == 0, done.err
    path = Path("results") / "Scaled" / "mini.json"
    record = read_json(path)
    arguments = {"letters": "eio", "scale": 2}
    assert record["model"]["identity"]["model_kwargs"] == record["provenance"]["arguments"]["encoder_arg"] == arguments
    done = run("evaluate", code, "--task", "mini", *given[:3], "scale=3")
    assert done.code == 1
    assert "answers another request" in done.err
    done = run("reproduce", str(path), "--model", code)
    assert done.code == 1
    assert "arguments for the encoder that can decide which code runs" in done.err
    assert '{"letters": "eio", "scale": 2}' in done.err
    done = run("reproduce", str(path), "--model", code, *given, "--by", "A Lab in Town")
    assert done.code == 0, done.err
    again = reproduce(path, options=EncoderOptions(encoder_arg=arguments | {"scale": 3}), again=_named(code))
    assert again.identity == ["model_kwargs was {'letters': 'eio', 'scale': 2}, is {'letters': 'eio', 'scale': 3}"]


def _named(model: str) -> Any:
    from xqr_bench.board.asked import Rerun

    return Rerun(model=model)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("scaled.py:scaled", {"letters": "x"}, "scaled.py:scaled is an encoder itself"),
        ("scaled.py:Scaled", {"words": "x"}, r"called with words, .*\n.*unexpected keyword argument 'words'"),
        ("scaled.py:Scaled", {}, r"called without arguments(.|\n)*'letters'(.|\n)*--encoder-arg KEY=VALUE"),
        ("char-ngrams", {"letters": "x"}, r"--encoder-arg cannot be used with a Python encoder \(char-ngrams\)"),
        ("precomputed:.", {"letters": "x"}, "--encoder-arg cannot be used with"),
    ],
)
def test_arguments_where_nothing_takes_them(code: str, model: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, EncoderError), match=message):
        load_encoder(model, EncoderOptions(encoder_arg=given))
