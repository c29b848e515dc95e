"""Three records of the embedded task, made once; a test has an empty folder unless it asks for theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import ran

MINE = """
from sklearn.feature_extraction.text import HashingVectorizer

class Words:
    def encode(self, texts):
        return HashingVectorizer(n_features=512, alternate_sign=False).transform(texts).toarray() + 0.01

class Letters:
    def encode(self, texts):
        return HashingVectorizer(analyzer="char", n_features=512).transform(texts).toarray() + 0.01
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("XQR_BENCH_DATA", raising=False)


@pytest.fixture(scope="session")
def three_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("mine.py").write_text(MINE, encoding="utf-8")
        for name, model in (("one", "char-ngrams"), ("two", "mine.py:Words"), ("three", "mine.py:Letters")):
            ran("evaluate", model, "--name", name, "--quiet")
    return folder


@pytest.fixture
def records(three_records: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with results/one, two and three, as the current one."""
    monkeypatch.chdir(three_records)
    monkeypatch.delenv("COLUMNS", raising=False)
    return three_records
