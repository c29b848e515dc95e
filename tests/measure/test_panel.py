"""The probe and the whole panel: known geometries, the command line, the real vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import VECTORS, needs_data, needs_vectors
from tests.kit import read_json, run
from xqr_bench.core.types import Candidate, Query, TaskData
from xqr_bench.encode import Embeddings
from xqr_bench.measure.geometry import Geometry, language_probe, measure_geometry

LANGUAGES = ("de", "en", "th")


def task(questions: int = 24, articles: int = 6) -> TaskData:
    return TaskData(
        name="toy",
        languages=LANGUAGES,
        queries=tuple(
            Query(f"{code}:{n}", code, str(n), f"{code} {n}") for code in LANGUAGES for n in range(questions)
        ),
        candidates=tuple(
            Candidate(f"{code}:{n}", code, f"{code} {n}.") for code in LANGUAGES for n in range(questions)
        ),
        relevants=tuple((n,) for _ in LANGUAGES for n in range(questions)),
        clusters=tuple(n % articles for _ in LANGUAGES for n in range(questions)),
    )


def vectors_of(data: TaskData, offset: float, content: float, d: int = 24, seed: int = 0) -> Embeddings:
    """A language's own offset, a question's own content, and a little noise."""
    draw = np.random.default_rng(seed)
    of_language = {code: draw.standard_normal(d) for code in LANGUAGES}
    of_question = {query.question: draw.standard_normal(d) for query in data.queries}

    def make(items: list[tuple[str, str]]) -> np.ndarray:
        rows = [
            offset * of_language[code] + content * of_question[n] + 0.1 * draw.standard_normal(d) for code, n in items
        ]
        return np.array(rows, dtype=np.float32)

    pairs = [(query.language, query.question) for query in data.queries]
    return Embeddings(make(pairs), make(pairs), 0, 0, {}, {}, None, {})


def test_the_probe_reads_offsets_and_nothing_else() -> None:
    data = task(60)
    languages = np.repeat(np.arange(3), 60)
    articles = np.array(data.clusters)

    def accuracy(offset: float) -> float:
        queries = vectors_of(data, offset, 1.0).queries.astype(np.float64)
        queries /= np.linalg.norm(queries, axis=1)[:, None]
        found = language_probe(queries, languages, articles)
        assert found.chance == pytest.approx(1 / 3)
        assert np.mean(list(found.recall.values())) == pytest.approx(found.accuracy)
        again = language_probe(queries, languages, articles)
        assert again == found  # nothing is drawn
        return found.accuracy

    assert accuracy(2.0) == 1.0
    assert accuracy(0.0) == pytest.approx(1 / 3, abs=0.12)


def test_the_probe_never_sees_an_article_twice() -> None:
    """Vectors that tell the article and, within it, the language: other articles do not help."""
    draw = np.random.default_rng(0)
    articles = np.repeat(np.arange(20), 9)
    languages = np.tile([0, 0, 0, 1, 1, 1, 2, 2, 2], 20)
    own = draw.standard_normal((20, 3, 40))
    x = own[articles, languages]
    x = x / np.linalg.norm(x, axis=1)[:, None]
    from sklearn.linear_model import LogisticRegression

    leaky = LogisticRegression(max_iter=500).fit(x[::2] * np.sqrt(40), languages[::2])
    assert leaky.score(x[1::2] * np.sqrt(40), languages[1::2]) > 0.95
    found = language_probe(x, languages, articles)
    assert found.accuracy < 0.55


def test_the_probe_is_not_always_defined() -> None:
    x = np.eye(6)
    assert language_probe(x, np.zeros(6, dtype=np.int64), np.arange(6)) is None
    assert language_probe(x, np.arange(6) % 2, np.zeros(6, dtype=np.int64)) is None
    assert language_probe(x, np.array([0, 0, 0, 0, 0, 1]), np.arange(6)) is None


def test_vectors_without_language_are_aligned_and_fair() -> None:
    data = task()
    fair = measure_geometry(data, vectors_of(data, 0.0, 1.0), model="toy")
    split = measure_geometry(data, vectors_of(data, 3.0, 1.0), model="toy", transform="center")
    assert fair.alignment_ratio < 0.05 < 0.5 < split.alignment_ratio < 1
    assert fair.own_language < 0.5 < 0.9 < split.own_language
    assert fair.own_language_chance == pytest.approx(1 / 3)
    assert split.probe == 1.0
    assert abs(fair.cosine_within) < 0.1
    assert split.cosine_within > 0.7
    assert (fair.transform, split.transform) == (None, "center")
    assert sum(found.top_share for found in fair.by_language.values()) == pytest.approx(1)
    assert sum(found.pool_share for found in fair.by_language.values()) == pytest.approx(1)
    for row in fair.places.values():
        assert sum(row.values()) == pytest.approx(1)
    literal = [
        np.square(a / np.linalg.norm(a) - b / np.linalg.norm(b)).sum()
        for x in [vectors_of(data, 0.0, 1.0).queries.astype(np.float64)]
        for i, j in ((0, 24), (0, 48), (24, 48))
        for a, b in zip(x[i : i + 24], x[j : j + 24], strict=True)
    ]
    assert fair.alignment == pytest.approx(np.mean(literal))


def test_zero_vectors_are_left_out_and_what_is_not_defined_says_why() -> None:
    data = task(4, articles=1)
    vectors = vectors_of(data, 1.0, 1.0)
    vectors.queries[0] = 0
    found = measure_geometry(data, vectors)
    assert found.n_queries == 11
    assert (found.probe, found.probe_chance) == (None, None)
    assert list(found.reasons) == ["probe"]
    alone = TaskData("one", ("en",), data.queries[4:8], data.candidates[4:8], data.relevants[4:8], data.clusters[4:8])
    only = Embeddings(vectors.queries[4:8], vectors.candidates[4:8], 0, 0, {}, {}, None, {})
    found = measure_geometry(alone, only)
    assert (found.alignment, found.cosine_between) == (None, None)
    assert set(found.reasons) >= {"alignment", "probe"}


def test_on_the_command_line(tmp_path: Path) -> None:
    written = tmp_path / "deep" / "geometry.json"
    done = run("geometry", "char-ngrams", "--transform", "center", "--output", str(written), "--no-cache")
    assert done.code == 0, done.err
    assert "language probe" in done.out
    assert "as encoded" in done.out
    panels = [Geometry.model_validate(found) for found in read_json(written)]
    assert [panel.transform for panel in panels] == [None, "center"]
    assert panels[1].probe < panels[0].probe
    markdown = run("geometry", "char-ngrams", "--markdown", "--languages", "de,en", "--quiet", "--no-cache")
    assert "| alignment ratio |" in markdown.out
    both = run("geometry", "char-ngrams", "--markdown", "--json")
    assert both.code == 1
    assert "--json and --markdown exclude each other" in both.err


@needs_data
@needs_vectors
def test_minilm_before_and_after_centring() -> None:
    """The figures of docs/geometry.md."""
    done = run("geometry", f"precomputed:{VECTORS}", "--task", "xquad-r", "--transform", "center", "--json", "--quiet")
    before, after = (Geometry.model_validate(found) for found in json.loads(done.out))
    assert (before.probe, after.probe) == (pytest.approx(0.9905, abs=0.003), pytest.approx(0.182, abs=0.01))
    assert (before.own_language, after.own_language) == (
        pytest.approx(0.933, abs=0.002),
        pytest.approx(0.744, abs=0.002),
    )
    assert before.alignment_ratio == pytest.approx(0.923, abs=0.002)
