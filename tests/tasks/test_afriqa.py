"""AfriQA: questions in languages that no candidate is in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import Seen
from xqr_bench import evaluate
from xqr_bench.analysis.compare import compare
from xqr_bench.board.facts import structure_digest
from xqr_bench.core.errors import DataError, TaskError
from xqr_bench.record import load_record, recompute, save_record
from xqr_bench.tasks import DataFile, load_spec, load_task
from xqr_bench.tasks.readers import afriqa

pytestmark = pytest.mark.usefixtures("own_surroundings")


def line(number: int, question: str, context: str | None, title: str | None = "River") -> dict[str, object]:
    return {
        "id": str(number),
        "question_lang": question,
        "question_translated": f"what is {question}",
        "context": context,
        "title": title,
        "answer_pivot": {"answer_start": [], "text": []},
        "answer_lang": "",
    }


SWAHILI = [line(0, "mto", "A river flows."), line(1, "ziwa", "A lake lies.", "Lake"), line(2, "bahari", None, None)]
HAUSA = [line(0, "kogi", "A river flows."), line(1, "kogi biyu", "A river flows.")]
FON = [line(0, "tɔ", "Une rivière coule.", "Rivière")]


def write(folder: Path) -> Path:
    for name, lines in (("sw", SWAHILI), ("ha", HAUSA), ("fon", FON)):
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    task = folder / "african.toml"
    task.write_text(
        """
        name = "african"
        format = "afriqa"
        languages = ["fon", "ha", "sw"]
        candidate_languages = ["en", "fr"]
        parallel = false
        settings = ["cross-lingual", "multilingual"]

        [files]
        fon = { path = "fon.json", candidates_in = "fr" }
        ha = { path = "ha.json", candidates_in = "en" }
        sw = { path = "sw.json", candidates_in = "en" }
        """,
        encoding="utf-8",
    )
    return task


def test_queries_in_some_languages_and_candidates_in_others(tmp_path: Path) -> None:
    seen = Seen()
    data = load_task(write(tmp_path), observe=seen)
    assert data.languages == ("en", "fr")
    assert data.query_languages == ("fon", "ha", "sw")
    texts = [candidate.text for candidate in data.candidates]
    assert texts == ["A river flows.", "A lake lies.", "Une rivière coule."]  # one passage of two files is one
    assert [(query.id, query.text) for query in data.queries[:3]] == [
        ("fon:0", "tɔ"),
        ("ha:0", "kogi"),
        ("ha:1", "kogi biyu"),
    ]
    assert data.relevants == ((2,), (0,), (0,), (0,), (1,))
    assert len({query.question for query in data.queries}) == 5  # equal ids of two files are different questions
    assert data.clusters == (0, 1, 1, 1, 2)  # the river is one article, whoever asks
    assert seen.notes == ["african: questions without a relevant candidate are left out: sw 1"]


def test_the_translated_questions() -> None:
    text = json.dumps(SWAHILI[0]).encode()
    assert [one.text for one in afriqa.read_translated(DataFile("sw.json", text)).questions] == ["what is mto"]


def test_a_record_of_it(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path)).model_copy(update={"metrics": ("map", "own_language_first")})
    record = evaluate("char-ngrams", spec, observe=Seen())
    assert record.task.languages == ["en", "fr"]
    assert record.task.query_languages == ["fon", "ha", "sw"]
    assert record.task.counts["sw"].model_dump() == {"queries": 2, "candidates": 0}
    assert record.task.counts["en"].model_dump() == {"queries": 0, "candidates": 2}
    figure = record.scores["cross-lingual"].macro["map"]
    assert set(record.scores["cross-lingual"].by_language_pair) == {"fon>fr", "ha>en", "sw>en"}
    assert figure.n == 5
    assert figure.absent == ("fon>en", "ha>fr", "sw>fr")
    own = record.scores["multilingual"].macro["own_language_first"]
    assert own.value is None
    assert own.undefined_reason


def test_a_part_of_it(tmp_path: Path) -> None:
    data = load_task(write(tmp_path), languages=["sw", "en"], observe=Seen())
    assert (data.languages, data.query_languages, len(data.queries)) == (("en",), ("sw",), 2)
    with pytest.raises(DataError, match="african has no candidate in the languages asked for"):
        load_task(write(tmp_path), languages=["sw"], observe=Seen())
    first = load_task(write(tmp_path), limit=1, observe=Seen())
    assert [query.id for query in first.queries] == [
        "fon:0",
        "ha:0",
        "sw:0",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "0"}\n', "line 1: question_lang: Field required"),
        ("\n[]\n", "line 2: the line: Input should be an object"),
        ("{\n", "line 1: the line: Invalid JSON"),
    ],
)
def test_a_wrong_line_is_named(content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        afriqa.read(DataFile("sw.json", content.encode()))


def test_a_question_without_text_is_named(tmp_path: Path) -> None:
    task = write(tmp_path)
    (tmp_path / "sw.json").write_text(json.dumps(line(0, " \u200b", "A river flows.")), encoding="utf-8")
    with pytest.raises(DataError, match="the question sw:0 of the task african is empty"):
        load_task(task)


def test_the_language_of_candidates_is_one_of_the_pool(tmp_path: Path) -> None:
    task = write(tmp_path)
    task.write_text(task.read_text(encoding="utf-8").replace('["en", "fr"]', '["en"]'), encoding="utf-8")
    with pytest.raises(TaskError, match=r"files.fon.candidates_in: fr is not among the languages of the candidates"):
        load_spec(task)


def test_a_comparison_leaves_out_what_has_no_relevant_candidate(tmp_path: Path) -> None:
    task = write(tmp_path)
    (found,) = compare([evaluate(name, task, observe=Seen()) for name in ("char-ngrams", "bm25")], resamples=100)
    assert found.n_questions == 5
    assert not [note for note in found.notes if "submission" in note]


def test_its_record_is_proved_from_its_files(tmp_path: Path) -> None:
    record = evaluate("char-ngrams", write(tmp_path), observe=Seen())
    save_record(record, tmp_path / "record.json")
    loaded = load_record(tmp_path / "record.json", ranks=True)
    assert structure_digest(loaded.ranks) == structure_digest(record.ranks)  # what a submission is checked by
    again, difference = recompute(loaded)
    assert again.scores == record.scores
    assert difference is not None


def test_a_language_without_a_relevant_candidate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no question in fon with a relevant candidate"):
        load_task(write(tmp_path), languages=["fon", "sw", "en"], observe=Seen())
