"""SparseEncoder and MultiVectorEncoder: ranked by their own kind, as the library scores them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import edit, ran, read_json, run
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.encode import EncoderOptions
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.kinds import LateRanker, SparseRanker
from xqr_bench.evaluation.ranker import Ranking, Task
from xqr_bench.rank.exact import ranks_of_scores
from xqr_bench.tasks import Selection, resolve_task

SPEC = resolve_task("mini")
CPU = EncoderOptions(device="cpu")


@pytest.fixture(scope="module")
def few() -> Task:
    return Task(SPEC, Selection(["de", "en"]).load(SPEC, Observer()))


def ranked(model: Any, task: Task, options: EncoderOptions | None = CPU) -> tuple[Ranking, np.ndarray]:
    with opened(model, options) as ranker:
        (ranking,) = ranker.rank([task], Observer())
        return ranking, np.concatenate([block.pooled for block in ranking.whole(task.data) or ()])


def by_library(library: Any, task: Task) -> np.ndarray:
    queries = library.encode_query([query.text for query in task.data.queries])
    candidates = library.encode_document([candidate.text for candidate in task.data.candidates])
    scores: np.ndarray = library.similarity(queries, candidates).numpy()
    return scores


def moved(task: Task, ranking: Ranking, scores: np.ndarray) -> int:
    """How many relevants have another rank by other scores."""
    from tests.rank.small import blocks

    other = ranks_of_scores(task.data, blocks(scores), own_lists=False)
    return int((ranking.ranks.gt != other.gt).any(axis=1).sum())


def test_a_sparse_encoder_scores_as_the_library_does(sparse_model: Path, few: Task) -> None:
    from sentence_transformers import SparseEncoder

    library = SparseEncoder(str(sparse_model), device="cpu")
    wanted = by_library(library, few)
    ranking, scores = ranked(str(sparse_model), few)
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    assert moved(few, ranking, wanted) <= 0.02 * ranking.ranks.n_relevants  # near ties
    again, of_object = ranked(library, few, None)
    np.testing.assert_array_equal(of_object, scores)
    assert any("passed as an object" in warning for warning in again.warnings)
    cosine, of_unit = ranked(str(sparse_model), few, EncoderOptions(device="cpu", similarity="cosine"))
    library.similarity_fn_name = "cosine"
    np.testing.assert_allclose(of_unit, by_library(library, few), rtol=1e-4, atol=1e-5)
    assert cosine.diagnostics["de"].queries is not None


def test_scores_of_exactly_zero_are_counted_and_tie(sparse_model: Path, few: Task) -> None:
    class Letters:
        """One column a letter that is rare; a text without any is a vector of zeros."""

        sparse = True
        similarity = "dot"

        def encode(self, texts: list[str]) -> Any:
            from scipy.sparse import csr_matrix

            return csr_matrix([[text.count(letter) for letter in "xyzXYZ"] for text in texts], dtype=np.float32)

    ranking, scores = ranked(Letters(), few, None)
    zeros = int((scores == 0).sum())
    assert 0 < zeros < scores.size
    assert any(
        f"{zeros:,} of {scores.size:,} pairs" in warning and "they tie" in warning for warning in ranking.warnings
    )
    texts = [candidate.text for candidate in few.data.candidates if candidate.language == "de"]
    nothing = sum(not set(text) & set("xyzXYZ") for text in texts)
    assert ranking.diagnostics["de"].zero_candidates == nothing > 0
    for query in np.flatnonzero((scores == 0).all(axis=1)):  # all candidates tie with each relevant
        rows = slice(*ranking.ranks.offsets[query : query + 2])
        assert (ranking.ranks.eq[rows].sum(axis=1) == len(few.data.candidates)).all()


def test_sparse_rows_of_code_are_made_dense_unless_it_says_so(few: Task) -> None:
    from scipy.sparse import random_array

    class Rows:
        def encode(self, texts: list[str]) -> Any:
            return random_array((len(texts), 50), density=0.5, dtype=np.float32, rng=len(texts))

    with opened(Rows()) as ranker:
        assert not isinstance(ranker, SparseRanker)
    Rows.sparse = True  # type: ignore[attr-defined]
    with opened(Rows()) as ranker:
        assert isinstance(ranker, SparseRanker)
    Rows.encode = lambda self, texts: np.ones((len(texts), 3))  # type: ignore[method-assign]
    with pytest.raises(EncoderError, match=r"no sparse matrix with one row a text\n.*ndarray"):
        ranked(Rows(), few, None)


def test_late_interaction_scores_as_the_library_does(late_model: Path, few: Task) -> None:
    from sentence_transformers import MultiVectorEncoder

    library = MultiVectorEncoder(str(late_model), device="cpu")
    wanted = by_library(library, few)
    with opened(str(late_model), CPU) as ranker:
        assert isinstance(ranker, LateRanker)
        ranker.memory = 10_000  # the vectors stand in a file
        (ranking,) = ranker.rank([few], Observer())
        scores = np.concatenate([block.pooled for block in ranking.whole(few.data) or ()])
        identity = ranker.identity
    np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
    assert moved(few, ranking, wanted) <= 0.02 * ranking.ranks.n_relevants
    assert (identity.kind, identity.similarity, identity.dimensions) == ("multi-vector-encoder", "maxsim", 8)
    assert (identity.query_prompt, identity.candidate_prompt, identity.max_length) == ("q: ", "d: ", 40)
    # queries are cut off at the 20 tokens that they are filled up to, candidates at 40
    tokenizer = library.tokenizer
    lengths = [len(tokenizer("q: " + query.text)["input_ids"]) for query in few.data.queries if query.language == "en"]
    assert ranking.diagnostics["en"].truncated_queries == sum(length > 20 for length in lengths)
    again, of_object = ranked(library, few, None)
    np.testing.assert_array_equal(of_object, scores)
    np.testing.assert_array_equal(again.ranks.gt, ranking.ranks.gt)


def test_folders_of_pylate_and_of_colbert(late_model: Path, plain_model: Path, few: Task, tmp_path: Path) -> None:
    """Layouts that sentence-transformers reads as a MultiVectorEncoder, without saying so in the way of its own."""
    import torch
    from safetensors.torch import load_file, save_file
    from sentence_transformers import MultiVectorEncoder

    pylate = tmp_path / "pylate"
    shutil.copytree(late_model, pylate)
    said = {"query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 20, "document_length": 40}
    said |= {"model_type": "ColBERT", "skiplist_words": ["?"], "attend_to_expansion_tokens": False}
    (pylate / "config_sentence_transformers.json").write_text(json.dumps(said))
    edit(pylate / "modules.json", lambda modules: modules.__delitem__(slice(2, None)))
    edit(pylate / "modules.json", lambda modules: modules[1].update(type="pylate.models.Dense.Dense"))
    colbert = tmp_path / "colbert"
    shutil.copytree(plain_model, colbert)
    edit(colbert / "config.json", lambda config: config.update(architectures=["HF_ColBERT"]))
    weights = load_file(colbert / "model.safetensors") | {"linear.weight": torch.randn(8, 16)}
    save_file(weights, colbert / "model.safetensors", metadata={"format": "pt"})
    settings = {"query_maxlen": 16, "doc_maxlen": 32, "query_token_id": "a", "doc_token_id": "b"}
    (colbert / "artifact.metadata").write_text(json.dumps(settings))
    for folder, prompt, most in ((pylate, "[Q] ", 40), (colbert, "a ", 32)):
        _, scores = ranked(str(folder), few)
        wanted = by_library(MultiVectorEncoder(str(folder), device="cpu"), few)
        np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
        with opened(str(folder), CPU) as ranker:
            assert (ranker.identity.query_prompt, ranker.identity.max_length) == (prompt, most)


def test_what_has_no_meaning_for_a_kind_is_refused(sparse_model: Path, late_model: Path, tmp_path: Path) -> None:
    for model, options in (
        (late_model, {"similarity": "cosine"}),
        (late_model, {"truncate_dim": 4}),
        (sparse_model, {"truncate_dim": 4}),
    ):
        with pytest.raises(UsageError, match=r"cannot be used with a (SparseEncoder|MultiVectorEncoder)"):
            evaluate(str(model), options=EncoderOptions(device="cpu", **options))
    euclidean = tmp_path / "euclidean"
    shutil.copytree(sparse_model, euclidean)
    edit(euclidean / "config_sentence_transformers.json", lambda config: config.update(similarity_fn_name="euclidean"))
    with pytest.raises(EncoderError, match="declares the similarity 'euclidean'"):
        evaluate(str(euclidean), options=CPU)
    for option in (["--transform", "center"], ["--index", "flat"], ["--allow-zero-vectors"]):
        done = run("evaluate", str(late_model), "--task", "mini", *option, "--output", str(tmp_path / "none"))
        assert done.code
        assert f"{option[0]} cannot be used with {late_model}" in done.err
    assert "--memory cannot be used with" in run("evaluate", str(sparse_model), "--memory", "1GB").err


def test_a_dry_run_tells_what_there_is_to_do(sparse_model: Path, late_model: Path, tmp_path: Path) -> None:
    for model in (sparse_model, late_model):
        line = ran("evaluate", str(model), "--dry-run", "--output", str(tmp_path / "none")).out.splitlines()[0]
        assert re.match(r"mini: 11 languages, 264 queries, 406 candidates; about \d+ distinct texts to encode; ", line)
        assert line.endswith("; then 107,184 scores")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["sparse", "late"])
def test_a_record_of_it_recomputes_and_reproduces(
    kind: str, sparse_model: Path, late_model: Path, tmp_path: Path
) -> None:
    model = {"sparse": sparse_model, "late": late_model}[kind]
    options = ["--device", "cpu", "--max-length", "30", "--candidate-prompt", "p: "]
    more = ["--memory", "1MB"] if kind == "late" else []
    ran("evaluate", str(model), "--task", "mini", *options, *more, "--output", str(tmp_path))
    (path,) = tmp_path.glob("*/mini.json")
    record = read_json(path)
    identity = record["model"]["identity"]
    assert (identity["candidate_prompt"], identity["max_length"]) == ("p: ", 30)
    assert record["provenance"]["texts"]["distinct"] == 659
    assert record["diagnostics"]["de"]["queries"]["tokens"] > 0
    ran("recompute", str(path))
    done = ran("reproduce", str(path), "--device", "cpu")
    assert "2,904 of 2,904 relevants have the same counts" in done.out
    assert "identity:" not in done.out
