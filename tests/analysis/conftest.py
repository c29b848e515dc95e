"""Records on the embedded task that differ in a known way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from xqr_bench import evaluate
from xqr_bench.encode import EncoderOptions
from xqr_bench.record import Record, record_path, save_record
from xqr_bench.tasks import load_task, resolve_task

ARTICLES = range(6)


class Blurred:
    """Counts of character trigrams; the questions of some articles are mixed with noise."""

    def __init__(self, articles: Sequence[int], noise: float) -> None:
        task = load_task(resolve_task("mini"))
        numbers = np.unique(task.clusters, return_inverse=True)[1]
        self._blurred = {query.text for query, number in zip(task.queries, numbers, strict=True) if number in articles}
        self._noise = noise
        self._count = HashingVectorizer(analyzer="char", ngram_range=(3, 3), n_features=2048, alternate_sign=False)

    def encode(self, texts: list[str]) -> np.ndarray:
        vectors = self._count.transform(texts).toarray()
        for row, text in enumerate(texts):
            if text in self._blurred:
                random = np.random.default_rng(list(text.encode()))
                vectors[row] += self._noise * random.normal(size=vectors.shape[1]) / 45
        return vectors


def blurred(name: str, articles: Sequence[int], noise: float) -> Record:
    return evaluate(Blurred(articles, noise), "mini", options=EncoderOptions(name=name))


@pytest.fixture(scope="session")
def records() -> dict[str, Record]:
    return {
        "full": blurred("full", (), 0.0),
        "other": evaluate("char-ngrams", "mini", options=EncoderOptions(name="org/other_1")),
        "random": evaluate("random:1", "mini"),
        "blurred": blurred("blurred", ARTICLES, 2.0),
        "blurred-in-two": blurred("blurred-in-two", ARTICLES[:2], 3.0),
    }


@pytest.fixture
def saved(records: dict[str, Record], tmp_path: Path) -> Callable[..., list[Path]]:
    """Save records by name, return their paths."""

    def save(*names: str) -> list[Path]:
        return [save_record(records[name], record_path(tmp_path, name, "mini")) for name in names]

    return save
