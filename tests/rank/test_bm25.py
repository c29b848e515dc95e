"""BM25: the formula, its indices, its ties, its record."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needs_data
from xqr_bench import evaluate
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, TaskData
from xqr_bench.evaluation.baselines import LexicalRanker
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import ranks_of_scores
from xqr_bench.rank.lexical import Bm25, Bm25Options, terms
from xqr_bench.record import load_record, recompute, save_record
from xqr_bench.tasks import load_task


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_task("mini", languages=["de", "en", "th", "zh"])


def literal(query: str, documents: list[str], k1: float, b: float) -> list[float]:
    """Sum over terms: ln(1 + (N - df + .5)/(df + .5)) tf / (tf + k1 (1 - b + b length / mean length))."""
    counted = [Counter(terms(text)) for text in documents]
    lengths = [sum(found.values()) for found in counted]
    mean = sum(lengths) / len(lengths)
    values = []
    for found, length in zip(counted, lengths, strict=True):
        value = 0.0
        for term in terms(query):
            df = sum(term in other for other in counted)
            idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
            value += idf * found[term] / (found[term] + k1 * (1 - b + b * length / mean))
        values.append(value)
    return values


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
def test_the_scores_are_those_of_the_formula(data: TaskData, k1: float, b: float) -> None:
    (block,) = Bm25(data, Bm25Options(k1, b)).scores()
    texts = [candidate.text for candidate in data.candidates]
    edges = data.edges.tolist()
    for row in (0, 30, 60, 95):
        query = data.queries[row].text
        np.testing.assert_allclose(block.pooled[row], literal(query, texts, k1, b), rtol=1e-5, atol=1e-6)
        for first, last in pairwise(edges):
            expected = literal(query, texts[first:last], k1, b)
            np.testing.assert_allclose(block.own[row, first:last], expected, rtol=1e-5, atol=1e-6)


def test_counts_are_those_of_the_scores(data: TaskData) -> None:
    (block,) = Bm25(data).scores()
    ranks = ranks_of_scores(data, [block])
    columns = np.repeat(np.arange(4), data.column_sizes)
    row = 0
    for query, relevants in enumerate(data.relevants):
        for relevant in relevants:
            pooled, own = block.pooled[query], block.own[query][columns == columns[relevant]]
            above = [int((pooled[columns == m] > pooled[relevant]).sum()) for m in range(4)]
            assert ranks.gt[row].tolist() == above
            assert ranks.own_gt[row] == (own > block.own[query, relevant]).sum()
            assert ranks.own_eq[row] == (own == block.own[query, relevant]).sum()
            row += 1


def test_a_query_without_a_known_term_ties_everything() -> None:
    data = load_task("mini", languages=["en", "th"])
    (block,) = Bm25(data).scores()
    thai = [row for row, query in enumerate(data.queries) if query.language == "th"]
    english = slice(0, int(data.column_sizes[0]))
    nothing = [row for row in thai if not block.own[row, english].any()]
    assert nothing
    ranks = ranks_of_scores(data, [block])
    for row in np.flatnonzero(np.isin(ranks.row_queries, nothing) & (ranks.relevant_columns == 0)):
        assert ranks.own_eq[row] == data.column_sizes[0]


def test_the_record(tmp_path: Path) -> None:
    record = evaluate(LexicalRanker(Bm25Options(k1=1.2)), "mini", languages=["de", "en", "th"])
    identity = record.model.identity
    assert (record.model.name, identity.kind, identity.similarity) == ("bm25", "baseline", "none")
    assert identity.distribution.startswith("bm25s ")
    assert identity.model_kwargs == {
        "k1": 1.2,
        "b": 0.75,
        "method": "lucene",
        "tokenisation": "words; character bigrams where a script has no spaces (1)",
    }
    assert record.ranks_file.depth is None
    scores = {setting: record.scores[setting].macro["map"].value or 0 for setting in record.scores}
    assert scores[MONOLINGUAL] > scores[MULTILINGUAL] > scores[CROSS_LINGUAL] > 0
    path = save_record(record, tmp_path / "mini.json")
    assert recompute(load_record(path, ranks=True))[1] == []
    again = evaluate(LexicalRanker(Bm25Options(k1=1.2)), "mini", languages=["de", "en", "th"])
    assert again.ranks_file.digest == record.ranks_file.digest


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"k1": -1.0}, "--k1 cannot be -1.0"),
        ({"k1": math.nan}, "--k1 cannot be nan"),
        ({"b": 1.5}, "--b cannot be 1.5"),
        ({"b": math.nan}, "--b cannot be nan"),
    ],
)
def test_parameters_that_make_no_sense(values: dict[str, float], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        Bm25Options(**values)
    assert str(caught.value).startswith(problem)


@needs_data
def test_the_figures_of_the_documentation() -> None:
    for name, expected in (("xquad-r", [0.7285, 0.1116, 0.0891]), ("mlqa-r", [0.5163, 0.1004, 0.1612])):
        data = replace(load_task(name), relevance=())
        scores, _ = score(all_per_query(ranks_of_scores(data, Bm25(data).scores()), ["map"]), {})
        assert [found.macro["map"].value for found in scores.values()] == pytest.approx(expected, abs=5e-5)
        if name == "xquad-r":
            by_language = scores[MONOLINGUAL].by_query_language
            shown = {code: round(by_language[code]["map"].value, 3) for code in ("ar", "th", "zh", "hi")}
            assert shown == {"ar": 0.638, "th": 0.777, "zh": 0.781, "hi": 0.739}


# Terms: words where a script parts them, bigrams where it does not.

CASES = {
    "The Peak District's 2nd-oldest FIRE": ["the", "peak", "district", "s", "2nd", "oldest", "fire"],
    "Straße STRASSE": ["strasse", "strasse"],
    "ΟΔΟΣ οδός": ["οδοσ", "οδόσ"],
    "İstanbul istanbul": ["istanbul", "istanbul"],
    "cà phê ca\u0300": ["cà", "phê", "cà"],  # composed and decomposed are the same, tones are kept
    "हिन्दी में क्षत्रिय": ["हिन्दी", "में", "क्षत्रिय"],  # vowel signs are marks: they stay in the word
    "كِتَابٌ كتاب كتـــاب": ["كتاب"] * 3,
    "北京大学": ["北京", "京大", "大学"],
    "在2008年，我": ["在", "2008", "年", "我"],
    "ＢＭ２５": ["bm25"],
    "ที่นี่": ["ที่นี่"],  # two characters with their marks: one pair
    "ประเทศไทย": ["ปร", "ระ", "ะเ", "เท", "ทศ", "ศไ", "ไท", "ทย"],
    "カタカナ": ["カタ", "タカ", "カナ"],
    "GPS定位x": ["gps", "定位", "x"],
    "می\u200cخواهم": ["میخواهم"],
    "?! — …": [],
    "": [],
    "\u0301a": ["a"],  # a mark without a letter before it
}


@pytest.mark.parametrize("text", CASES)
def test_terms(text: str) -> None:
    assert terms(text) == CASES[text]
