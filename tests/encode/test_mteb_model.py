"""Models of mteb's protocol: called as mteb calls them, with its prompts; what it declares stands in the record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import PARTIAL, ran, read_json, run
from xqr_bench import evaluate, load_encoder
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.encode import EncoderOptions, embed_tasks, vector_store
from xqr_bench.encode.mteb_model import data_loader
from xqr_bench.encode.shards import encoder_key
from xqr_bench.encode.trust import refuse_code
from xqr_bench.tasks import load_task
from xqr_bench.tasks.mteb import any_task, mteb_tasks

mteb = pytest.importorskip("mteb")

FEW = ("--limit", "2", "--languages", "de,en", "--no-relevance", "--quiet")
PROMPTS = {"Retrieval-query": "find: ", "document": "text: "}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def registered(model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """mteb's registry with a tiny model on disk, `tiny/model`, and room for more."""
    from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper
    from mteb.models.model_implementations import MODEL_REGISTRY

    def load(name: str, revision: str | None, **more: Any) -> Any:
        return SentenceTransformerEncoderWrapper(str(model), **more)

    facts = {
        "name": "tiny/model",
        "revision": "r1",
        "loader": load,
        "loader_kwargs": {"model_prompts": PROMPTS},
        "similarity_fn_name": "dot",
        "training_datasets": {"XQuADRetrieval", "SciFact"},
    }
    meta = ModelMeta.create_empty().model_copy(update=facts)
    monkeypatch.setitem(MODEL_REGISTRY, "tiny/model", meta)
    return MODEL_REGISTRY


def test_a_registered_model_gives_what_its_folder_gives_with_its_prompts(
    registered: dict[str, Any], model: Path
) -> None:
    ran("evaluate", "mteb:tiny/model", "--task", "mini", "--device", "cpu", *FEW)
    prompts = ("--query-prompt", "find: ", "--candidate-prompt", "text: ")
    ran("evaluate", str(model), "--name", "plain", "--similarity", "dot", "--task", "mini", *prompts, *FEW)
    made, plain = (read_json(Path("results") / name / "mini.json") for name in ("tiny__model", "plain"))
    identity = made["model"]["identity"]
    assert {name: identity[name] for name in ("kind", "name", "revision", "similarity")} == {
        "kind": "mteb",
        "name": "tiny/model",
        "revision": "r1",
        "similarity": "dot",
    }
    assert identity["distribution"] == f"mteb {mteb.__version__}"
    assert (identity["query_prompt"], identity["candidate_prompt"]) == ("find: ", "text: ")
    assert identity["max_length"] == plain["model"]["identity"]["max_length"]
    assert made["scores"] == plain["scores"]
    assert made["diagnostics"] == plain["diagnostics"]  # tokens, what is cut off
    assert made["exposure"]["level"] == "unknown"  # of mini, which has no texts of XQuAD
    assert "SciFact, XQuADRetrieval" in made["exposure"]["note"]
    again = ran("evaluate", "mteb:tiny/model", "--task", "mini", "--name", "again", "--device", "cpu", *FEW[:-1])
    assert "texts came from the store" in again.err


def test_texts_are_handed_over_as_mteb_does() -> None:
    from datasets import Dataset
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    texts = [" a text ", "b\n", "c"]
    rows = Dataset.from_dict({"id": ["0", "1", "2"], "text": texts})
    for role, kind in (("query", PromptType.query), ("candidate", PromptType.document)):
        theirs = create_dataloader(rows, task_metadata=any_task().metadata, prompt_type=kind, batch_size=2)
        ours = data_loader(role, texts, 2)
        assert [dict(sorted(batch.items())) for batch in ours] == [dict(sorted(batch.items())) for batch in theirs]


def test_other_prompts_have_vectors_of_their_own(registered: dict[str, Any], tmp_path: Path) -> None:
    data, store = load_task("mini", languages=["de", "en"], limit=2), vector_store(tmp_path / "store")
    first = load_encoder("mteb:tiny/model")
    before = embed_tasks(first, [data], store=store)["mini"]
    meta = registered["tiny/model"]
    registered["tiny/model"] = meta.model_copy(update={"loader_kwargs": {"model_prompts": {"query": "other: "}}})
    second = load_encoder("mteb:tiny/model")
    after = embed_tasks(second, [data], store=store)["mini"]
    assert (second.identity.query_prompt, second.identity.candidate_prompt) == ("other: ", None)
    assert encoder_key(first, "query") != encoder_key(second, "query")
    assert after.stored_texts == 0
    assert np.abs(before.queries - after.queries).max() > 1e-3


def test_instructions_are_those_of_retrieval(registered: dict[str, Any], model: Path) -> None:
    from mteb.models.instruct_wrapper import InstructSentenceTransformerModel

    def load(name: str, revision: str | None, **more: Any) -> Any:
        template = "Instruct: {instruction}\nQuery: "
        return InstructSentenceTransformerModel(
            str(model), None, instruction_template=template, apply_instruction_to_passages=False
        )

    meta = registered["tiny/model"].model_copy(update={"loader": load, "loader_kwargs": {}})
    identity = load_encoder(meta).identity
    assert identity.query_prompt == "Instruct: Retrieve text based on user query.\nQuery: "
    assert identity.candidate_prompt is None


def test_mteb_ranks_as_we_do_with_its_prompts(registered: dict[str, Any]) -> None:
    meta = registered["tiny/model"]
    tasks = mteb_tasks(PARTIAL, settings=["monolingual"])
    (result,) = mteb.evaluate(meta, tasks, cache=None, co2_tracker=False, show_progress_bar=False).task_results
    record = evaluate(meta, PARTIAL)
    for subset in result.scores["test"]:
        figures = record.scores["monolingual"].by_query_language[subset["hf_subset"]]
        assert figures["recall@1"].tied_fraction == 0
        for metric, theirs in (("recall@1", "accuracy"), ("recall@10", "recall_at_10"), ("ndcg@10", "ndcg_at_10")):
            assert subset[theirs] == pytest.approx(figures[metric].value, abs=5.1e-6)


class Told:
    """Keeps what it is told; its instruction is not known to anybody else."""

    mteb_model_meta = None
    bias = 1.0

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def encode(self, inputs: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, prompt_type: Any, **more: Any):
        self.told.append({"name": task_metadata.name, "type": task_metadata.type, "role": prompt_type.value, **more})
        texts = [text for batch in inputs for text in batch["text"]]
        return np.array([[self.bias, text.count("e"), text.count("a"), len(text)] for text in texts], np.float64)

    def similarity(self, a: Any, b: Any) -> Any:
        return np.asarray(a) @ np.asarray(b).T


def test_any_object_of_the_protocol() -> None:
    thing = Told()
    record = evaluate(thing, "mini", limit=2, languages=["de", "en"], options=EncoderOptions(batch_size=4))
    assert {tuple(one.items()) for one in thing.told} == {
        (("name", "XqrBench"), ("type", "Retrieval"), ("role", role), ("batch_size", 4), ("show_progress_bar", False))
        for role in ("query", "document")
    }
    identity = record.model.identity
    assert (identity.kind, identity.similarity, identity.name) == ("python", "dot", "Told")
    assert any("prompts and instructions" in warning for warning in record.warnings)
    assert record.exposure is None
    with pytest.raises(UsageError, match=r"--query-prompt cannot be used with an object of mteb's protocol"):
        load_encoder(thing, EncoderOptions(query_prompt="a"))


CODE = """
import numpy as np
from mteb.models import ModelMeta
print("at import")
class Vowels:
    mteb_model_meta = ModelMeta.create_empty({"name": "mine/vowels", "revision": "7", "similarity_fn_name": "cosine"})
    def __init__(self, letters="aeiou"):
        self.letters = letters
    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **more):
        print("while encoding")
        return np.array([[1 + t.count(x) for x in self.letters] for batch in inputs for t in batch["text"]])
"""


def test_an_object_in_a_file_and_nothing_of_it_on_standard_output() -> None:
    Path("vowels.py").write_text(CODE)
    done = ran("evaluate", "vowels.py:Vowels", "--encoder-arg", "letters=aei", *FEW[:-1], "--json")
    assert done.out.startswith("[{")
    assert "while encoding" in done.err
    (path,) = Path("results").glob("*/mini.json")
    assert path.parent.name == "mine__vowels"
    identity = read_json(path)["model"]["identity"]
    assert (identity["kind"], identity["revision"], identity["dimensions"]) == ("python", "7", 3)
    assert identity["digest"]
    assert read_json(path)["exposure"]["note"].endswith("does not say what it was trained on")


@pytest.mark.parametrize(
    ("name", "declared", "level"),
    [
        ("mteb/baseline-random-encoder", "mteb", "none declared"),
        ("mteb/baseline-random-sparse-encoder", "mteb", "none declared"),
    ],
)
def test_baselines_of_mteb(name: str, declared: str, level: str) -> None:
    record = evaluate(f"mteb:{name}", "mini", limit=2, languages=["de", "en"])
    assert (record.exposure.declared_by, record.exposure.level) == (declared, level)
    assert record.model.identity.dimensions in (32, 128)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mteb/baseline-random-colbert", r"several vectors a text \(MaxSim\).*\n.*mteb_tasks"),
        ("mteb/baseline-random-cross-encoder", "scores pairs of texts and has no vectors"),
        ("mteb/baseline-hybrid-rrf-baseline-bm25s-multilingual-e5-small", "searches, and has no vectors"),
        (
            "mteb/baseline-random-encodr",
            "has no model .* in its registry\n  found: closest: mteb/baseline-random-encoder",
        ),
        ("intfloat/multilingual-e5-small", "mteb cannot load intfloat/multilingual-e5-small"),
        (
            "jinaai/jina-embeddings-v3",
            "mteb runs code that comes with jinaai/jina-embeddings-v3\n.*--trust-remote-code",
        ),
    ],
)
def test_what_is_refused(name: str, says: str) -> None:
    with pytest.raises((EncoderError, UsageError), match=says):
        load_encoder(f"mteb:{name}")


def test_options_that_mean_nothing(registered: dict[str, Any]) -> None:
    for options, says in (
        ({"query_prompt": "a"}, "--query-prompt cannot be used with a model of mteb's registry"),
        ({"dtype": "float16"}, "--dtype cannot be used"),
        ({"revision": "r2"}, "mteb does not give tiny/model"),
        ({"trust_remote_code": True}, "mteb runs no code that comes with tiny/model"),
        ({"model_kwargs": {"nonsense": 1}}, "mteb cannot load tiny/model"),
    ):
        with pytest.raises((EncoderError, UsageError), match=says):
            load_encoder("mteb:tiny/model", EncoderOptions(**options))
    assert load_encoder("mteb:tiny/model", EncoderOptions(revision="r1", truncate_dim=4)).identity.truncate_dim == 4


def test_a_search_model_of_mteb(registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Search:
        mteb_model_meta = None

        def index(self, *arguments: Any, **more: Any) -> None: ...

        def search(self, *arguments: Any, **more: Any) -> dict: ...

    meta = registered["tiny/model"].model_copy(update={"loader": lambda *a, **b: Search(), "loader_kwargs": {}})
    monkeypatch.setitem(registered, "tiny/search", meta)
    with pytest.raises(EncoderError, match=r"searches, and has no vectors.*\n.*predictions"):
        load_encoder("mteb:tiny/search")


def test_without_mteb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    done = run("evaluate", "mteb:tiny/model")
    assert done.code == 1
    assert "pip install 'xqr-bench[mteb]'" in done.err


@pytest.mark.parametrize("name", ["openai/text-embedding-3-small", "Cohere/Cohere-embed-v4.0", "mongodb/voyage-3.5"])
def test_a_file_cannot_name_a_model_of_mteb_that_a_server_runs(name: str) -> None:
    with pytest.raises(UsageError, match="the record names an endpoint, which is asked"):
        refuse_code(f"mteb:{name}", "the record")
    refuse_code("mteb:intfloat/multilingual-e5-small", "the record")
