"""Evaluation texts in other texts: the literal definition, worked examples, scripts without spaces."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import Candidate, Query, TaskData
from xqr_bench.record import exposure_search as find_module
from xqr_bench.record.exposure import KINDS
from xqr_bench.record.exposure_search import GRAM, WORD, EvaluationTexts, Placed, find_texts, units, weight
from xqr_bench.tasks import load_task

PARAGRAPH = "The lighthouse was built in 1874. Its lamp stands 41 metres above the sea, and it turns once a minute."
SENTENCES = (PARAGRAPH[:33], PARAGRAPH[34:])


def task(
    question: str = "When was the lighthouse built?", sentences: tuple[str, ...] = SENTENCES, title: str = "Varde_Light"
) -> TaskData:
    return TaskData(
        name="toy",
        languages=("en",),
        queries=(Query("en:q1", "en", "q1", question),),
        candidates=tuple(
            Candidate(f"en:0:0:{i}", "en", text, "en:0:0", PARAGRAPH, "en:0") for i, text in enumerate(sentences)
        ),
        relevants=((0,),),
        clusters=(0,),
        titles={"en:0": title},
    )


units_of = cache(units)


@cache
def grams(text: str) -> set[tuple[str, ...]]:
    """Runs of units from each unit on, no longer than they need to be to weigh enough."""
    of = units_of(text)
    found = set()
    for i in range(len(of)):
        for j in range(i + 1, len(of) + 1):
            if sum(map(weight, of[i:j])) >= GRAM:
                found.add(tuple(of[i:j]))
                break
    return found


def literal(item: str, kind: str, text: str) -> tuple[bool, float] | None:
    """The definition, word for word: (exact, overlap), None when nothing of it was found."""
    wanted, there = units_of(item), units_of(text)
    weighs = sum(map(weight, wanted))
    in_a_row = any(there[i : i + len(wanted)] == wanted for i in range(len(there)))
    if kind == "title" or weighs < 4 * WORD:
        return (True, 1.0) if wanted == there else None
    if weighs < GRAM:
        return (True, 1.0) if in_a_row else None
    mine = grams(item)
    common = len(mine & grams(text))
    return (in_a_row, common / len(mine)) if common else None


@pytest.mark.parametrize("block", [1, 30, 10_000])
def test_equals_the_literal_definition(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_module, "BLOCK", block)
    generator = np.random.default_rng(5)
    words = ["ein", "zwei", "drei", "Vier", "二", "三", "ก", "ข", "٣", "kün", "x"]

    def text(longest: int) -> str:
        return " ".join(generator.choice(words, size=generator.integers(1, longest)))

    hits = 0
    for _ in range(15):
        data = task(text(20), tuple(text(40) for _ in range(6)), text(3))
        items = [("question", data.queries[0].text, "q1"), ("title", data.titles["en:0"], "en:0")]
        items += [("sentence", candidate.text, candidate.id) for candidate in data.candidates]
        items += [("paragraph", PARAGRAPH, "en:0:0")]
        texts = [" ".join([text(9), str(generator.choice([item for _, item, _ in items])), text(9)]) for _ in range(25)]
        # pieces of items, and items as they are
        texts += [" ".join(item.split()[:14]) for _, item, _ in items] + [item.upper() for _, item, _ in items]
        for there, found in zip(texts, EvaluationTexts(data).hits(texts), strict=True):
            got = {(hit.kind, name): (hit.exact, hit.overlap) for hit in found for _, name in hit.members}
            wanted = {(kind, name): literal(item, kind, there) for kind, item, name in items}
            assert got == {key: value for key, value in wanted.items() if value is not None}
            hits += len(got)
    assert hits > 500


def test_exact_near_touched_and_not_found() -> None:
    data = task()
    longer = "its LAMP stands 41 metres above the sea -- and it turns twice an hour"
    findings = find_texts(
        data,
        [
            "nothing of it",
            Placed(f"Q: when was THE lighthouse, built? A: in 1874. {longer}", "train.txt:2"),
            "stands 41 metres above the sea and it",
        ],
    )
    assert findings.n_texts == 3
    found = {(hit.kind, hit.id): hit for hit in findings.found}
    assert found["question", "q1"].exact
    assert found["question", "q1"].place == "train.txt:2"
    # 14 words make 7 grams; those that end at "it" and "turns" or before are there
    near = found["sentence", "en:0:0:1"]
    assert not near.exact
    assert near.overlap == pytest.approx(4 / 7)
    # the sentence of six words counts only whole; the paragraph has 13 grams, two of them over "in 1874"
    assert ("sentence", "en:0:0:0") not in found
    assert found["paragraph", "en:0:0"].overlap == pytest.approx(6 / 13)
    counts = findings.counts()
    assert [(counts[kind].exact, counts[kind].near, counts[kind].touched) for kind in KINDS] == [
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (0, 0, 0),
    ]
    assert counts["sentence"].total == 2
    assert findings.level == "evaluation text"


def test_titles_and_short_texts_only_as_a_whole() -> None:
    data = task(question="Why so?", sentences=("No.",))
    assert not find_texts(data, ["the Varde light is old", "why so? because", "no, never"]).found
    findings = find_texts(data, ["VARDE LIGHT", "why so", "no"])
    assert [hit.kind for hit in findings.found] == ["question", "sentence", "title"]
    # a title alone is no evaluation text
    assert find_texts(data, ["Varde light"]).level is None


def test_the_best_place_is_kept() -> None:
    data = task()
    part = "Its lamp stands 41 metres above the sea and then"
    findings = find_texts(data, [part, SENTENCES[1], SENTENCES[1]])
    assert {hit.place for hit in findings.found if hit.kind == "sentence"} == {"text 1"}


def test_translations_with_the_same_title_are_all_found() -> None:
    data = load_task("mini", languages=["en", "de"])
    both = TaskData(**{**vars(data), "titles": {"en:0": "Varde", "de:0": "Varde"}})
    hits = next(EvaluationTexts(both).hits(["varde"]))
    assert hits[0].members == (("en", "en:0"), ("de", "de:0"))


def test_a_task_finds_itself_and_its_titles() -> None:
    data = load_task("mini")
    texts = [query.text for query in data.queries] + [found.text for found in data.candidates]
    texts += [found.context for found in data.candidates] + list(data.titles.values())
    findings = find_texts(data, texts)
    assert all(counts.exact == counts.total for counts in findings.counts().values())
    assert findings.counts("th")["title"].total > 0


def test_units_of_many_scripts() -> None:
    assert units("Super_Bowl 50, İzmir!") == ["super", "bowl", "50", "izmir"]
    assert units("苹果iPhone手机") == ["苹", "果", "iphone", "手", "机"]
    assert units("क्या है") == ["क्या", "है"]
    assert units("كِتَاب") == ["كتاب"]
    assert [weight(unit) for unit in units("año 年 ก 7")] == [6, 3, 1, 6]


def test_an_overlap_that_is_no_share() -> None:
    with pytest.raises(UsageError, match="no share"):
        find_texts(task(), [], near=0)


def test_nothing_to_search() -> None:
    findings = find_texts(task(), [])
    assert (findings.n_texts, findings.found, findings.level) == (0, (), None)
