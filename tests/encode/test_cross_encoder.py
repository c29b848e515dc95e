"""CrossEncoders as the library saves them, against its own `predict` and `rank`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import Seen, edit, make_task, ran
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.encode import EncoderOptions, VectorStore
from xqr_bench.evaluation.cross_encoder import CrossEncoderRanker
from xqr_bench.evaluation.evaluate import opened
from xqr_bench.evaluation.pairs import Pairs

TASK = make_task(
    {"en": ["who wrote it?", "where is the town?"], "de": ["wer schrieb es?", "who wrote it?"]},
    {
        "en": ["she wrote it.", "the town is near the sea.", "a" * 90],
        "de": ["sie schrieb es.", "die stadt liegt am meer.", "she wrote it."],
    },
)


def ranker_of(model: Any, **options: Any) -> CrossEncoderRanker:
    with opened(model, EncoderOptions(**options)) as ranker:
        assert isinstance(ranker, CrossEncoderRanker)
        return ranker


def all_scores(ranker: CrossEncoderRanker, data: TaskData = TASK) -> np.ndarray:
    return np.concatenate([block.pooled.copy() for block in ranker.scores(data, Seen())])


def library(folder: Path) -> Any:
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(folder), device="cpu")


def test_scores_are_the_logits_of_the_library(cross_encoder: Path) -> None:
    import torch

    ranker, own = ranker_of(cross_encoder, device="cpu"), library(cross_encoder)
    scores = all_scores(ranker)
    pairs = [(query.text, candidate.text) for query in TASK.queries for candidate in TASK.candidates]
    expected = own.predict(pairs, activation_fn=torch.nn.Identity()).reshape(scores.shape)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    order = [hit["corpus_id"] for hit in own.rank("where is the town?", [one.text for one in TASK.candidates[:5]])]
    assert order == np.argsort(-scores[1, :5]).tolist()
    identity = ranker.identity
    assert (identity.kind, identity.name, identity.similarity) == ("cross-encoder", cross_encoder.name, "none")
    assert (identity.max_length, identity.dtype, len(identity.digest or "")) == (64, "float32", 64)
    (logits, cut) = ranker.pair_warnings()
    assert "ranked by the logits" in logits
    assert "Sigmoid" in logits
    assert cut == "3 pairs of texts were cut off after 64 tokens"  # of three distinct queries


def test_equal_pairs_have_equal_scores_and_are_scored_once(
    cross_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranker = ranker_of(cross_encoder, device="cpu", token_budget=70)  # one pair a batch, or two
    asked: list[tuple[str, str]] = []
    predict = ranker.model._model.predict

    def counted(pairs: list[tuple[str, str]], **how: Any) -> Any:
        asked.extend(map(tuple, pairs))
        return predict(pairs, **how)

    monkeypatch.setattr(ranker.model._model, "predict", counted)
    scores = all_scores(ranker)
    assert len(asked) == len(set(asked)) == 3 * 5
    np.testing.assert_array_equal(scores[:, 0], scores[:, 5])
    np.testing.assert_array_equal(scores[0], scores[3])
    np.testing.assert_array_equal(all_scores(ranker), scores)
    assert len(asked) == 15  # asked again, nothing is scored again
    some = Pairs(np.array([0, 0, 2]), np.array([1, 4, 0]))
    assert ranker.pair_scores(TASK, some, Seen()) == pytest.approx(scores[some.queries, some.candidates], abs=1e-6)


def test_a_saturated_activation_makes_no_ties(cross_encoder: Path, tmp_path: Path) -> None:
    """In float32 a sigmoid is exactly 1 from 17 on."""
    import torch

    model = library(cross_encoder)
    with torch.no_grad():
        model[0].auto_model.classifier.bias += 100.0
    assert len(set(model.predict([("a", "b"), ("a", "c d")]).tolist())) == 1
    folder = tmp_path / "saturated"
    model.save_pretrained(str(folder))
    assert len(set(all_scores(ranker_of(folder, device="cpu"))[0].tolist())) == 5  # of six texts two are the same
    edit(folder / "config_sentence_transformers.json", lambda c: c.update(activation_fn="torch.nn.ReLU"))
    ranker = ranker_of(folder, device="cpu")  # where it is flat it is no order: as the model has it
    assert not [line for line in ranker.pair_warnings() if "logits" in line]


def test_a_plain_classifier_an_object_and_other_types(cross_encoder: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(cross_encoder, tmp_path / "old"))
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (old / name).unlink()
    expected = all_scores(ranker_of(cross_encoder, device="cpu"))
    np.testing.assert_array_equal(all_scores(ranker_of(old, device="cpu")), expected)
    loaded = ranker_of(library(cross_encoder), name="mine")
    np.testing.assert_array_equal(all_scores(loaded), expected)
    assert (loaded.name, loaded.identity.digest, loaded.model.keeps) == ("mine", None, False)
    half = ranker_of(cross_encoder, device="cpu", dtype="bfloat16", max_length=63)
    assert (half.identity.dtype, half.identity.max_length) == ("bfloat16", 63)
    np.testing.assert_allclose(all_scores(half)[:, :2], expected[:, :2], rtol=0.2, atol=0.1)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"query_prompt": "ask: "}, "--query-prompt cannot be used with a CrossEncoder"),
        ({"truncate_dim": 3}, "--truncate-dim cannot be used with a CrossEncoder"),
        ({"candidate_context": "paragraph"}, "--candidate-context cannot be used with a CrossEncoder"),
        ({"similarity": "dot"}, "--similarity cannot be used with a CrossEncoder"),
    ],
)
def test_options_without_a_meaning_are_refused(cross_encoder: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        ranker_of(cross_encoder, **options)


def test_what_cannot_rank_is_refused(cross_encoder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    three = Path(shutil.copytree(cross_encoder, tmp_path / "three"))
    config = BertConfig.from_pretrained(cross_encoder, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(three)
    with pytest.raises(EncoderError, match=r"one score to rank by\n.*classifier of 3 labels"):
        ranker_of(three, device="cpu")
    with pytest.raises(EncoderError, match="--max-length 100 is more than the model can read"):
        ranker_of(cross_encoder, device="cpu", max_length=100)
    broken = library(cross_encoder)
    with torch.no_grad():
        broken[0].auto_model.classifier.bias += float("nan")
    with pytest.raises(EncoderError, match=r"not a finite number\n.*nan for .*en:q0 .* and .*en:0:0:2 "):  # the longest
        all_scores(ranker_of(broken))


def test_a_task_of_too_many_pairs_is_refused_with_a_way_out(
    cross_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xqr_bench.evaluation.cross_encoder.MOST_ALONE", 23)
    with pytest.raises(UsageError, match=r"each of 24 pairs.*\n.*hours; at most 23 pairs.*\n.*bm25 --rerank tiny-ce"):
        all_scores(ranker_of(cross_encoder, device="cpu"))


class Stops(Seen):
    """Ctrl-C after so many shards."""

    def advance(self, steps: int, status: str = "") -> None:
        super().advance(steps)
        if len(self.steps) == 2:
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_goes_on(cross_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.encode.cross_encoder.SHARD_PAIRS", 4)
    expected = all_scores(ranker_of(cross_encoder, device="cpu", batch_size=2))
    stopped, again = (ranker_of(cross_encoder, device="cpu", batch_size=2) for _ in range(2))
    stopped.model.store = VectorStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        list(stopped.scores(TASK, Stops()))
    assert stopped.model.kept == 8
    (folder,) = (tmp_path / "pairs").iterdir()
    first, _ = sorted(folder.iterdir())
    first.write_bytes(first.read_bytes()[:-33] + b"\0" * 33)  # damaged: scored again
    made = []
    batch = type(again.model)._of_batch
    monkeypatch.setattr(type(again.model), "_of_batch", lambda self, *a: made.append(len(a[0])) or batch(self, *a))
    again.model.store = VectorStore(tmp_path)
    np.testing.assert_array_equal(all_scores(again), expected)
    assert sum(made) == 15 - 4
    again.forget()
    assert not folder.exists()
    list(again.scores(TASK, Seen()))
    assert folder.exists()
    ran("cache", "clear", "--cache-dir", str(tmp_path))
    assert not folder.exists()


def test_half_as_many_where_memory_runs_out(cross_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranker = ranker_of(cross_encoder, device="cpu")
    predict = ranker.model._model.predict

    def narrow(pairs: list[tuple[str, str]], **how: Any) -> Any:
        if len(pairs) > 4:
            raise RuntimeError("CUDA out of memory")
        return predict(pairs, **how)

    monkeypatch.setattr(ranker.model._model, "predict", narrow)
    seen = Seen()
    list(ranker.scores(TASK, seen))
    assert seen.notes[0] == "out of memory with 15 pairs together: going on with half as many"
    assert seen.phases[-1] == ("scoring pairs", 15)
