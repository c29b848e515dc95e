"""Vectors are found again by what decides them, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.encode.store.conftest import SENSITIVE, bound
from tests.encode.toys import Counting
from xqr_bench.core.errors import UsageError
from xqr_bench.encode import EncoderOptions, load_encoder, vector_store
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.shards import encoder_key, key_digest, reason_not_kept, text_digest
from xqr_bench.encode.store import DEFAULT_LIMIT, parse_size


def digests(model: object, **given: Any) -> tuple[str, str]:
    encoder = load_encoder(model, EncoderOptions(**given))
    assert isinstance(encoder, TextEncoder)
    return key_digest(encoder_key(encoder, "query")), key_digest(encoder_key(encoder, "candidate"))


def test_what_decides_a_vector_is_in_the_key_and_names_are_not(model: Path, tmp_path: Path) -> None:
    plain = digests(model, device="cpu")
    assert plain[0] != plain[1]  # this model has a prompt for queries
    for same in (
        {"name": "other"},
        {"similarity": "cosine"},
        {"batch_size": 3},
        {"token_budget": 100},
        {"truncate_dim": 4},
    ):
        assert digests(model, device="cpu", **same) == plain
    assert digests(model, device="cpu", candidate_context="paragraph") == plain  # it is in the text
    moved = tmp_path / "elsewhere"
    moved.symlink_to(model)
    assert digests(moved, device="cpu") == plain
    others = [
        {"dtype": "bfloat16"},
        {"max_length": 20},
        {"model_kwargs": {"attn_implementation": "eager"}},
    ]
    found = [digests(model, device="cpu", **other) for other in others]
    assert len({plain, *found}) == 1 + len(others)
    query, candidate = digests(model, device="cpu", query_prompt="other: ")
    assert query != plain[0]
    assert candidate == plain[1]
    alike = digests(model, device="cpu", query_prompt="", candidate_prompt="")
    assert alike[0] == alike[1]


def test_a_changed_source_and_another_object_have_other_keys(tmp_path: Path) -> None:
    assert digests(f"{SENSITIVE}:Sensitive") != digests(f"{SENSITIVE}:KeptNowhere")
    copy = tmp_path / "copied_toy.py"
    copy.write_text(SENSITIVE.read_text("utf-8"))
    before = digests(f"{copy}:Sensitive")
    copy.write_text(SENSITIVE.read_text("utf-8") + "\n")
    assert digests(f"{copy}:Sensitive") != before


def test_what_is_never_kept() -> None:
    def reason(encoder: object) -> str | None:
        assert isinstance(encoder, TextEncoder)
        return reason_not_kept(encoder)

    assert reason(bound()) is None
    assert "asks not to be" in (reason(bound("KeptNowhere")) or "")
    assert "asks not to be" in (reason(load_encoder("char-ngrams")) or "")
    assert "as an object" in (reason(load_encoder(Counting())) or "")
    unknown = bound()
    unknown.identity = unknown.identity.model_copy(update={"digest": None})
    assert "neither a revision nor a digest" in (reason(unknown) or "")


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_texts_have_digests_of_their_own(pair: list[str]) -> None:
    assert text_digest(pair[0]) != text_digest(pair[1])
    assert text_digest("\ud800") != text_digest("?")  # a lone surrogate has one too


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("5GB", 5 * 10**9), ("1.5 tib", 3 * 2**39), ("20 MB", 2 * 10**7), ("7k", 7000), ("0", 0)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_where_the_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_CACHE", str(tmp_path / "variable"))
    assert vector_store().folder == tmp_path / "variable"
    assert vector_store().limit == DEFAULT_LIMIT
    monkeypatch.setenv("XQR_BENCH_CACHE_LIMIT", "1GB")
    assert vector_store(tmp_path / "option") == replace(vector_store(), folder=tmp_path / "option", limit=10**9)
    monkeypatch.delenv("XQR_BENCH_CACHE")
    assert vector_store(limit="2 MB").folder.name == "xqr-bench"
    with pytest.raises(UsageError, match="'much' is no size"):
        vector_store(limit="much")
    monkeypatch.setenv("XQR_BENCH_CACHE_LIMIT", "lots")
    with pytest.raises(UsageError, match="XQR_BENCH_CACHE_LIMIT: 'lots' is no size"):
        vector_store()
