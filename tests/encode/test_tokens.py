"""Tokens and unknown tokens of texts, where the encoder has a tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.encode.toys import TOY, Symmetric
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.sentence_transformer import ModelEncoder
from xqr_bench.record.describe import language_diagnostics


def test_hand_counted(model: Path) -> None:
    """The tiny tokenizer knows letters and `?.:`; a word with anything else is one unknown token."""
    bound = load_encoder(model, EncoderOptions(device="cpu", max_length=4))  # nothing is cut off
    found = bound.tokens(["abc", "ab ฉัน", "", "ฉัน ฉัน", "Who? Me."])
    # without the prompt "ask: " and without [CLS] and [SEP]
    assert found[0].tolist() == [3, 3, 0, 2, 7]
    assert found[1].tolist() == [0, 1, 0, 2, 0]
    assert found[0].dtype == np.int64


def test_texts_measured_for_the_batches_are_not_read_again(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["abc", "ab ฉัน", "", "[CLS] a [UNK] [SEP]", "ฉัน ฉัน", "Who? Me.", "a" * 60]
    fresh = load_encoder(model, EncoderOptions(device="cpu")).tokens(texts)
    bound = load_encoder(model, EncoderOptions(device="cpu", max_length=8))
    assert isinstance(bound, TextEncoder)
    assert fresh is not None
    read: list[int] = []
    plain = ModelEncoder._encoded

    def counted(encoder: ModelEncoder, texts: list[str], **options: bool) -> object:
        read.append(len(texts))
        return plain(encoder, texts, **options)

    monkeypatch.setattr(ModelEncoder, "_encoded", counted)
    bound.measure("query", texts)  # with their prompt, which is not a token of the text
    for_queries = bound.tokens(texts)
    bound.measure("candidate", texts)
    for_candidates = bound.tokens([*texts, "new"])
    assert read == [7, 7, 7, 1]
    for found in (for_queries, for_candidates):
        np.testing.assert_array_equal(np.array(found)[:, : len(texts)], np.array(fresh))


def test_by_language(model: Path) -> None:
    bound = load_encoder(model, EncoderOptions(device="cpu"))
    diagnostics = language_diagnostics(TOY, embed_tasks(bound, [TOY])["toy"], bound)
    queries = diagnostics["en"].queries
    # "Who wrote it?" and "Where is the town?": 11 and 15 letters and signs, 13 and 18 characters
    assert (queries.texts, queries.tokens, queries.unknown_tokens, queries.characters) == (2, 26, 0, 31)
    assert queries.unknown_share == 0.0
    assert queries.tokens_per_character == 26 / 31


def test_without_a_tokenizer_nothing_is_known() -> None:
    bound = load_encoder(Symmetric())
    assert bound.tokens(["a"]) is None
    found = language_diagnostics(TOY, embed_tasks(bound, [TOY])["toy"], bound)["de"].candidates
    assert (found.tokens, found.unknown_tokens, found.unknown_share, found.tokens_per_character) == (None,) * 4
    assert (found.texts, found.vectors, found.sharing) == (2, 2, 0)
