"""File names and addresses made from untrusted text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xqr_bench.board.site.html import file_stem, safe_url, unique_stems

SAFE = re.compile(r"[a-z0-9_][a-z0-9._-]*")


@given(st.text())
def test_a_stem_is_safe(text: str) -> None:
    stem = file_stem(text)
    assert SAFE.fullmatch(stem)
    assert len(stem) <= 90
    assert ".." not in stem.strip(".") or "/" not in stem


@given(st.lists(st.tuples(st.text(), st.text()), unique=True, max_size=8))
def test_stems_of_different_keys_differ(keys: list[tuple[str, str]]) -> None:
    stems = unique_stems({key: "--".join(key) for key in keys})
    assert len({stem.lower() for stem in stems.values()}) == len(keys)
    assert all(SAFE.fullmatch(stem) for stem in stems.values())


def test_names_that_look_alike_to_a_file_system() -> None:
    keys = [("A/B", "1"), ("a-b", "1"), ("a--b", "1"), ("a", "b--1"), ("../a-b", "1"), ("模型", "1"), ("نموذج", "1")]
    stems = unique_stems({key: "--".join(key) for key in keys})
    assert len(set(stems.values())) == len(keys)
    assert unique_stems({("org__m", "r1"): "org__m--r1"}) == {("org__m", "r1"): "org__m--r1"}


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//host/path",
        "https://",
        "http://[",
        "",
        None,
    ],
)
def test_other_addresses_are_no_links(address: str | None) -> None:
    assert safe_url(address) is None


def test_web_addresses_are_links() -> None:
    for address in ("https://example.org/a?b=c", "http://example.org"):
        assert safe_url(address) == address
