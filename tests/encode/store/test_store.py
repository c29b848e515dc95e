"""Vectors are encoded once and for all, and come back as they were."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.encode.store.conftest import (
    SENSITIVE,
    SHARD,
    bound,
    embed,
    equal_but_for_batches,
    same,
    shards,
    task_of,
    texts,
)
from tests.kit import Seen, edit, make_task
from xqr_bench.core.errors import EncoderError
from xqr_bench.encode import BoundEncoder, EncoderOptions, VectorStore, embed_tasks, load_encoder
from xqr_bench.encode.store import trim, verify

Log = Callable[[], list[list[str]]]


def test_the_second_run_encodes_nothing(store: VectorStore, log: Log) -> None:
    first = embed(store, task_of(0, 50))
    assert sum(map(len, log())) == 50
    assert (first.distinct_texts, first.stored_texts) == (50, 0)
    again = embed(store, task_of(0, 50))
    assert sum(map(len, log())) == 8  # witnesses; its one query is one of the candidates
    assert same(first, again)
    assert (again.distinct_texts, again.stored_texts) == (50, 50)
    assert first.truncated is not None


def test_without_a_store_nothing_is_written(tmp_path: Path, log: Log) -> None:
    assert embed(None, task_of(0, 5)).stored_texts == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batches.jsonl"]


def test_other_tasks_share_texts_and_encode_only_their_own(store: VectorStore, log: Log) -> None:
    embed(store, task_of(0, 30))
    log()
    found = embed(store, task_of(20, 60, "other"))
    assert found.stored_texts == 10
    assert {text for batch in log()[1:] for text in batch} >= set(texts(30, 60))
    equal_but_for_batches(found.candidates, embed(None, task_of(20, 60)).candidates)
    both = embed_tasks(bound(), [task_of(0, 30), task_of(20, 60, "other")], store=store)
    assert (both["toy"].stored_texts, both["other"].stored_texts) == (30, 40)


@pytest.mark.parametrize(("first", "then"), [(None, 2), (2, None)])
def test_fewer_columns_encode_nothing_again(store: VectorStore, log: Log, first: int | None, then: int | None) -> None:
    def cut(width: int | None) -> BoundEncoder:
        return load_encoder(f"{SENSITIVE}:Sensitive", EncoderOptions(batch_size=4, truncate_dim=width))

    embed(store, task_of(0, 50), cut(first))
    log()
    found = embed(store, task_of(0, 50), cut(then))
    assert sum(map(len, log())) == 8
    whole = embed(None, task_of(0, 50), cut(None))
    assert found.stored_texts == 50
    np.testing.assert_array_equal(found.candidates, whole.candidates[:, :then])
    assert found.dimensions == (then or whole.dimensions) > (first or 0)


def test_queries_and_candidates_are_kept_apart_when_they_are_encoded_apart(store: VectorStore, log: Log) -> None:
    task = make_task({"en": texts(0, 5)}, {"en": texts(0, 9)})
    first = embed(store, task, bound("TwoWays"))
    log()
    again = embed(store, task, bound("TwoWays"))
    assert same(first, again)
    assert (again.distinct_texts, again.stored_texts) == (14, 14)
    assert (again.queries[:, 0] < 0).all()


@pytest.mark.parametrize("change", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_shard_is_encoded_again_as_it_was(store: VectorStore, log: Log, change: str) -> None:
    first = embed(store, task_of(0, 50))
    log()
    path = shards(store)[1]
    content = bytearray(path.read_bytes())
    content[-40] ^= 1  # in the vectors
    whole = path.read_bytes()
    if change == "remove":
        path.unlink()
    else:
        path.write_bytes({"flip": bytes(content), "truncate": whole[:-5], "empty": b""}[change])
        assert list(verify(store)[1]) == [path]
    told: list[str] = []
    again = embed(store, task_of(0, 50), told=told)
    assert same(first, again)
    encoded = [text for batch in log() for text in batch]
    assert len(encoded) - 8 == 50 - again.stored_texts <= SHARD
    assert path.read_bytes() == whole
    assert told == (
        []
        if change == "remove"
        else [
            "the embedding store had 1 damaged shard for this encoder: removed, their texts are encoded again",
        ]
    )


def test_vectors_of_the_older_format_are_removed_and_encoded_again_in_the_same_batches(
    store: VectorStore, log: Log
) -> None:
    first = embed(store, task_of(0, 50))
    log()
    for path in shards(store):
        path.rename(path.with_suffix(".shard")).write_bytes(b"XQRVEC1\n...")
    told: list[str] = []
    again = embed(store, task_of(0, 50), told=told)
    assert told == ["the vectors of this encoder were kept in an older format: they are removed, and encoded again"]
    assert not list(store.folder.rglob("*.shard"))
    assert same(first, again)
    assert again.stored_texts == 0


def test_a_damaged_plan_costs_nothing_but_the_plan(store: VectorStore) -> None:
    first = embed(store, task_of(0, 50))
    (plan,) = store.shelves.glob("*/plans/*.json")
    plan.write_text(plan.read_text().replace("1", "2"))
    assert same(first, embed(store, task_of(0, 50)))
    shards(store)[0].unlink()
    again = embed(store, task_of(0, 50))
    equal_but_for_batches(first.candidates, again.candidates)
    assert same(again, embed(store, task_of(0, 50)))


def test_other_batches_leave_what_is_there_and_plan_the_rest(store: VectorStore, log: Log) -> None:
    embed(store, task_of(0, 50), bound(batch=4))
    for path in shards(store)[:2]:
        path.unlink()
    log()
    found = embed(store, task_of(0, 50), bound(batch=6))
    assert max(map(len, log()[1:])) == 6
    assert found.stored_texts >= 50 - 2 * SHARD
    assert same(found, embed(store, task_of(0, 50), bound(batch=4)))


def test_zeros_and_other_values_that_cannot_be_scored_are_not_let_through(store: VectorStore, tmp_path: Path) -> None:
    source = tmp_path / "zero_toy.py"
    source.write_text(
        "import numpy as np\n"
        "class Zero:\n"
        "    def encode(self, texts):\n"
        "        return np.array([[0.0 if text.startswith('3 ') else 1.0, 0.0] for text in texts])\n"
    )
    encoder = f"{source}:Zero"
    with pytest.raises(EncoderError, match="vectors of only zeros"):
        embed(store, task_of(0, 9), load_encoder(encoder))
    assert not shards(store)
    found = embed_tasks(load_encoder(encoder), [task_of(0, 9)], store=store, allow_zero_vectors=True)["toy"]
    assert found.zero_candidates == {"en": 1}
    with pytest.raises(EncoderError, match="vectors of only zeros"):
        embed(store, task_of(0, 9), load_encoder(encoder))


def test_code_whose_weights_changed_is_noticed(store: VectorStore, tmp_path: Path, log: Log) -> None:
    source, weight = tmp_path / "weighted_toy.py", tmp_path / "weight"
    source.write_text(
        "from pathlib import Path\nimport numpy as np\n"
        "class Weighted:\n"
        "    def encode(self, texts):\n"
        f"        return np.array([[len(text), float(Path({str(weight)!r}).read_text())] for text in texts])\n"
    )
    weight.write_text("1")
    first = embed(store, task_of(0, 30), load_encoder(f"{source}:Weighted"))
    assert (first.candidates[:, 1] == 1).all()
    weight.write_text("1.5")
    told: list[str] = []
    again = embed(store, task_of(0, 30), load_encoder(f"{source}:Weighted"), told)
    assert (again.candidates[:, 1] == 1.5).all()
    assert again.stored_texts == 0
    assert told == [
        "the vectors that the embedding store holds for this encoder are removed and encoded again: the candidate "
        "en:0:0:27 of toy ('27 xxxxxxxxxxxxxxxxxx') has another vector now, though name, digest and revision are the "
        "same"
    ]
    assert embed(store, task_of(0, 30), load_encoder(f"{source}:Weighted")).stored_texts == 30


def test_the_encoders_used_longest_ago_make_room(store: VectorStore, tmp_path: Path) -> None:
    import os

    folders = []
    for number in range(3):
        source = tmp_path / f"room_{number}.py"
        source.write_text(SENSITIVE.read_text("utf-8") + f"\n# {number}\n")
        embed(store, task_of(0, 20), load_encoder(f"{source}:Sensitive"))
        (new,) = {path.parent for path in store.shelves.glob("*/encoder.json")} - set(folders)
        os.utime(new / "encoder.json", (number, number))
        folders.append(new)
    size = sum(path.stat().st_size for path in folders[0].rglob("*") if path.is_file())
    small = VectorStore(store.folder, limit=int(2.5 * size))
    assert trim(small, [folders[0].name]) == [folders[1]]
    assert trim(small) == []
    told: list[str] = []
    embed(VectorStore(store.folder, limit=1), task_of(0, 20), load_encoder(f"{source}:Sensitive"), told)
    assert [folder.exists() for folder in folders] == [False, False, True]  # the one in use stays
    assert "above its limit" in told[0]


def test_progress_counts_texts_from_the_store_at_once(store: VectorStore) -> None:
    embed(store, task_of(0, 24))
    seen = Seen()
    embed_tasks(bound(), [task_of(0, 30)], store=store, observe=seen)
    assert (seen.phases, seen.steps, seen.ended) == ([("encoding", 30)], [12, 12, 4, 2], 1)


def test_sentence_transformers_models_are_kept_with_their_token_counts(store: VectorStore, model: Path) -> None:
    long = ["a" * 70, "b" * 30]
    task = make_task({"en": ["where"]}, {"en": [*long, *texts(0, 40)]})
    options = EncoderOptions(device="cpu", token_budget=200)
    first = embed(store, task, load_encoder(model, options))
    assert first.truncated == {"en": {"queries": 0, "candidates": 1}}
    encoder = load_encoder(model, options)
    given: list[str] = []
    encode = encoder.call
    encoder.call = lambda role, texts: given.extend(texts) or encode(role, texts)  # type: ignore[method-assign]
    again = embed(store, task, encoder)
    assert len(given) == 9  # witnesses: its one query, and 8 of its candidates
    assert same(first, again)
    assert again.stored_texts == 43
    np.testing.assert_allclose(first.candidates, embed(None, task, load_encoder(model, options)).candidates)


WORDS = """
from pathlib import Path
import numpy as np
class Words:
    def encode_queries(self, texts):
        return np.array([[len(text), 1.0] for text in texts])
    def encode_candidates(self, texts):
        words = Path(__file__).with_name("words.txt").read_text("utf-8")
        return np.array([[len(text), 1.0 + (text[0] in words)] for text in texts])
"""


def test_a_change_in_one_language_and_one_role_removes_both(store: VectorStore, tmp_path: Path) -> None:
    (tmp_path / "words_toy.py").write_text(WORDS)
    pools = {
        code: [f"{letter} {'x' * n}" for n in range(60)] for code, letter in (("de", "d"), ("th", "ก"), ("en", "e"))
    }
    task = make_task({code: texts[:2] for code, texts in pools.items()}, pools)
    model = f"{tmp_path / 'words_toy.py'}:Words"
    (tmp_path / "words.txt").write_text("dก", encoding="utf-8")
    embed(store, task, load_encoder(model))
    (tmp_path / "words.txt").write_text("d", encoding="utf-8")
    told: list[str] = []
    again = embed(store, task, load_encoder(model), told)
    assert len(told) == 1
    assert "the candidate th:0:0:" in told[0]
    assert again.stored_texts == 0
    assert again.candidates[:, 1].tolist() == [2.0] * 60 + [1.0] * 120
    part = make_task({"de": pools["de"][:2]}, {"de": pools["de"]})
    assert embed(store, part, load_encoder(model)).stored_texts == 62


def test_what_was_kept_under_other_rules_or_says_another_name_is_encoded_again(store: VectorStore) -> None:
    first = embed(store, task_of(0, 30))
    (about,) = store.shelves.glob("*/encoder.json")
    for change, why in (
        (lambda data: data.pop("rules"), "they were kept under older rules"),
        (
            lambda data: data["key"].update(digest="0"),
            "encoder.json does not say that they are of sens",
        ),
        (lambda data: data.clear(), "encoder.json does not say"),
    ):
        edit(about, change)
        told: list[str] = []
        again = embed(store, task_of(0, 30), told=told)
        assert len(told) == 1
        assert "are removed and encoded again (both roles): " + why in told[0]
        assert again.stored_texts == 0
        assert same(first, again)


def test_a_model_of_the_same_name_with_other_weights_is_told_apart(
    store: VectorStore, model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "tiny"
    shutil.copytree(model, copy)
    options = EncoderOptions(device="cpu", query_prompt="")
    embed(store, task_of(0, 5), load_encoder(copy, options))
    edit(copy / "config.json", lambda data: data.update(layer_norm_eps=0.1))
    told: list[str] = []
    assert embed(store, task_of(0, 5), load_encoder(copy, options), told).stored_texts == 0
    assert [line[: line.index(" the digest")] for line in told] == ["the embedding store holds vectors of tiny with"]


def test_weights_that_no_digest_shows(store: VectorStore, model: Path) -> None:
    options = EncoderOptions(device="cpu", query_prompt="")
    first = embed(store, task_of(0, 20), load_encoder(model, options))
    other = load_encoder(model, options)
    call = other.call
    other.call = lambda role, texts: 1.01 * call(role, texts)  # type: ignore[method-assign]
    told: list[str] = []
    again = embed(store, task_of(0, 20), other, told)
    assert "has another vector now" in told[0]
    assert again.stored_texts == 0
    np.testing.assert_allclose(again.candidates, 1.01 * first.candidates, rtol=1e-5)
