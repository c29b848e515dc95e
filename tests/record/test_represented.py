"""Which languages an encoder can represent: distinct vectors of distinct texts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import VECTORS, needs_data, needs_vectors
from tests.kit import make_task
from xqr_bench import evaluate
from xqr_bench.core.errors import RecordError
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.record import (
    LanguageDiagnostics,
    Record,
    TextDiagnostics,
    represented_languages,
    unrepresented_languages,
)
from xqr_bench.record.describe import language_diagnostics, representation_warnings, vector_groups


class FirstLetter:
    """Texts that begin alike have one vector."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[ord(text[0]), 50.0, 1.0] for text in texts])


def test_hand_worked() -> None:
    """Five queries, four distinct: a1, a2, b1 and c1 have the vectors of a, b and c."""
    task = make_task({"en": ["a1", "a2", "b1", "a1", "c1"], "de": ["a", "b"]}, {"en": ["x"], "de": ["y", "y", "yes"]})
    bound = load_encoder(FirstLetter())
    found = language_diagnostics(task, embed_tasks(bound, [task])["toy"], bound)
    queries = found["en"].queries
    assert (queries.texts, queries.vectors, queries.sharing, queries.characters) == (4, 3, 2, 8)
    assert queries.distinct_share == 0.75
    candidates = found["de"].candidates
    assert (candidates.texts, candidates.vectors, candidates.sharing) == (2, 1, 2)
    # a and b of German do not share with English: languages are looked at apart
    assert found["de"].queries.distinct_share == 1.0
    assert representation_warnings(found) == [
        "the encoder does not tell the queries of some languages apart: en 3 vectors for 4 texts (75%); their scores "
        "say little about its quality"
    ]


def literally(vectors: np.ndarray, limit: float = 1e-3) -> list[int]:
    """All pairs, and groups grown one by one."""
    n = len(vectors)
    near = [[np.linalg.norm(vectors[i] - vectors[j]) <= limit for j in range(n)] for i in range(n)]
    sizes, seen = [], set()
    for start in range(n):
        group, waiting = set(), [start]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                group.add(here)
                waiting += [j for j in range(n) if near[here][j]]
        if group:
            sizes.append(len(group))
    return sorted(sizes)


@pytest.mark.parametrize("d", [2, 5, 30])
def test_the_definition(d: int) -> None:
    draw = np.random.default_rng(d)
    centres = draw.standard_normal((12, d))
    centres /= np.linalg.norm(centres, axis=1)[:, None]
    rows = centres[draw.integers(0, 12, 90)] + 2e-4 / np.sqrt(d) * draw.standard_normal((90, d))
    unit = (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)
    found = sorted(vector_groups(unit, unit=True).tolist())
    assert found == literally(unit.astype(np.float64))
    assert sum(found) == 90
    assert len(found) < 90


def test_length_counts_only_for_dot_products() -> None:
    rows = np.array([[1, 0], [2, 0], [0, 3], [0, 0], [0, 0], [-0.0, 0]], dtype=np.float32)
    assert sorted(vector_groups(rows, unit=True).tolist()) == [1, 2, 3]
    assert sorted(vector_groups(rows, unit=False).tolist()) == [1, 1, 1, 3]
    assert vector_groups(np.zeros((0, 3), np.float32), unit=True).tolist() == []
    assert vector_groups(np.zeros((4, 3), np.float32), unit=False).tolist() == [4]


def test_rounding_does_not_make_vectors_distinct() -> None:
    """The same text in another batch, or stored as float16, has other last bits."""
    row = np.random.default_rng(0).standard_normal(384).astype(np.float32)
    rows = np.stack([row, np.nextafter(row, np.float32(2)), row.astype(np.float16).astype(np.float32), 1.01 * row])
    assert sorted(vector_groups(rows, unit=False).tolist()) == [1, 3]


def text(vectors: int, texts: int = 100) -> TextDiagnostics:
    return TextDiagnostics(texts=texts, vectors=vectors, sharing=2 * (texts - vectors), characters=1)


@pytest.fixture(scope="module")
def record() -> Record:
    return evaluate("char-ngrams", "mini", languages=["de", "en", "th"])


def test_the_limit_is_95_percent(record: Record) -> None:
    counts = {"de": text(95), "en": text(94), "th": text(0, texts=0)}
    changed = record.model_copy(
        update={"diagnostics": {code: LanguageDiagnostics(queries=found) for code, found in counts.items()}}
    )
    assert unrepresented_languages(changed) == ("en",)
    assert represented_languages(changed) == ("de", "th")  # a language without queries is not held against it


def test_a_record_that_does_not_tell(record: Record) -> None:
    older = record.model_copy(update={"diagnostics": {"de": LanguageDiagnostics()}})
    assert unrepresented_languages(older) == ()
    with pytest.raises(RecordError, match="does not tell how many vectors are distinct"):
        represented_languages(older)


def test_a_lexical_encoder_represents_all(record: Record) -> None:
    assert represented_languages(record) == tuple(record.task.languages)
    assert not any("apart" in warning for warning in record.warnings)


@needs_data
@needs_vectors
def test_minilm_cannot_read_thai() -> None:
    record = evaluate(f"precomputed:{VECTORS}", "xquad-r", languages=["en", "th", "zh"], limit=1190)
    assert unrepresented_languages(record) == ("th",)
    thai = record.diagnostics["th"].queries
    # 1,190 Thai questions, 1,183 of them different, have 250 vectors: 940 are surplus
    assert (thai.texts, thai.vectors, thai.tokens) == (1183, 250, None)
    assert any("th 250 vectors for 1,183 texts (21%)" in warning for warning in record.warnings)
