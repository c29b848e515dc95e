"""Candidates, questions and judgements in files of their own: BEIR and TREC."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from xqr_bench import evaluate
from xqr_bench.core.errors import DataError
from xqr_bench.core.observe import Notice
from xqr_bench.tasks import READERS, DataFile, SourceCandidate, SourceData, load_spec, load_task

pytestmark = pytest.mark.usefixtures("own_surroundings")

CORPUS = [
    {"_id": "d1", "title": "Rain", "text": "It rains."},
    {"_id": "d2", "title": "", "text": "Il pleut.", "lang": "fr"},
    {"_id": "d3", "text": "It snows."},
]
QUERIES = [{"_id": "q1", "text": "rain?"}, {"_id": "q2", "text": "neige ?", "language": "fr"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq1\td3\t0\nq2\td3\t1\n"


def json_lines(rows: Iterable[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def read(
    corpus: bytes = json_lines(CORPUS), queries: bytes = json_lines(QUERIES), qrels: str = QRELS, form: str = "beir"
) -> SourceData:
    files = ("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels.tsv", qrels.encode())
    return READERS.get(form).read(*(DataFile(name, content) for name, content in files))


def test_title_and_text_are_joined_and_grades_are_gains() -> None:
    data = read()
    assert data.candidates == (
        SourceCandidate("d1", "Rain It rains."),
        SourceCandidate("d2", "Il pleut.", language="fr"),
        SourceCandidate("d3", "It snows."),
    )
    assert [(one.id, one.text, one.language, dict(one.gains)) for one in data.questions] == [
        ("q1", "rain?", "", {0: 2.0, 1: 1.0}),
        ("q2", "neige ?", "fr", {2: 1.0}),
    ]
    assert data.notes == ()


def test_names_that_others_give_to_the_same() -> None:
    corpus = json_lines([{"id": 1, "title": "Rain", "text": "It rains."}, {"docid": "d2", "text": "It snows."}])
    queries = json_lines([{"qid": "q1", "query": "rain?"}])
    qrels = json_lines([{"qid": "q1", "docid": "1", "relevance": 1}]).decode()
    data = read(corpus, queries, qrels)
    assert [one.id for one in data.candidates] == ["1", "d2"]
    assert [dict(one.gains) for one in data.questions] == [{0: 1.0}]


def test_trec() -> None:
    corpus = "d1\tIt rains.\r\n\r\nd2\tIt\tsnows.\r\n".encode("utf-8-sig")
    data = read(corpus, b"q1\train?\n", "q1 0 d1 3\nq1 Q0 d2 0\n", "trec")
    assert [(one.id, one.text) for one in data.candidates] == [("d1", "It rains."), ("d2", "It\tsnows.")]
    assert [(one.id, dict(one.gains)) for one in data.questions] == [("q1", {0: 3.0})]
    assert read(form="trec") == read()


@pytest.mark.parametrize(
    ("parts", "note"),
    [
        ({"corpus": json_lines([*CORPUS, CORPUS[0]])}, "1 candidates stand there again with the same text and count"),
        ({"corpus": json_lines([*CORPUS, {"_id": "d4", "text": "\u200b"}])}, "1 candidates have no text and are left"),
        ({"corpus": json_lines(CORPUS[:2])}, "2 judgements are of a question or candidate that is not there, .* q1 d3"),
        ({"queries": json_lines([*QUERIES, {"_id": "q3", "text": "?"}])}, "1 questions have no judged .* such as q3"),
        ({"queries": json_lines([*QUERIES, {"_id": "q3", "text": None}])}, "1 questions have no text .* such as q3"),
        ({"qrels": QRELS.replace("q2\td3\t1\n", "")}, "1 questions have no judged .* such as q2"),
    ],
)
def test_what_is_left_out_is_counted(parts: dict[str, bytes], note: str) -> None:
    assert re.search(note, "\n".join(read(**parts).notes))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"corpus": json_lines([*CORPUS, {"_id": "d1", "text": "x"}])}, "corpus.jsonl, line 4: the candidate id 'd1'"),
        ({"corpus": json_lines([{"_id": "d 1", "text": "x"}])}, "corpus.jsonl, line 1: .* not one word"),
        ({"corpus": json_lines([{"_id": True, "text": "x"}])}, "corpus.jsonl, line 1: the id True is no text"),
        (
            {"corpus": json_lines([{"_id": "d1", "text": 3}])},
            "corpus.jsonl, line 1: title, text and language are texts",
        ),
        ({"corpus": b"[1]\n"}, "corpus.jsonl, line 1: not a"),
        ({"corpus": b'{"_id": "d1", "text": "x"\n'}, "corpus.jsonl, line 1: not a line of JSON"),
        ({"corpus": b'{"_id": "d1"}\n'}, "corpus.jsonl, line 1: none of text, query"),
        ({"corpus": b'\n{"_id": "d1", "text": "\xe9"}\n'}, "corpus.jsonl, line 2: not UTF-8"),
        ({"qrels": QRELS + "q2\td1\t-1\n"}, "qrels.tsv, line 6: the grade -1 is no gain"),
        ({"qrels": QRELS + "q2\td1\tnan\n"}, "qrels.tsv, line 6: the grade 'nan' is no number"),
        ({"qrels": QRELS + "q2\td1\t1e400\n"}, "qrels.tsv, line 6: the grade inf is no gain"),
        ({"qrels": QRELS + "q2\td1\t1e-400\n"}, "qrels.tsv, line 6: the grade '1e-400' is nearer to 0"),
        ({"qrels": QRELS + "q2\td1\t1_0\n"}, "qrels.tsv, line 6: the grade '1_0' is no number"),
        ({"qrels": QRELS + "q2\td1\t\u0661\n"}, "qrels.tsv, line 6: the grade '\u0661' is no number"),
        (
            {"qrels": "q d rel\n" + QRELS},
            "line 1: the grade 'rel' is no number\n  to do: .* such as query-id, corpus-id",
        ),
        ({"qrels": '{"qid": "q1", "docid": "d1", "score": null}\n'}, "the grade None is no number\n  to do: write 0"),
        ({"qrels": QRELS + "q2\td1\tyes\n"}, "qrels.tsv, line 6: the grade 'yes' is no number"),
        ({"qrels": '{"qid": "q1", "docid": "d1", "score": true}\n'}, "qrels.tsv, line 1: the grade True is no number"),
        ({"qrels": QRELS + "q2\td1\n"}, "qrels.tsv, line 6: not three columns"),
        ({"qrels": QRELS + "q2\td3\t2\n"}, "qrels.tsv, line 6: the candidate d3 of the question q2 had another grade"),
    ],
)
def test_a_fault_is_named_with_its_line(parts: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(**parts)


@pytest.mark.parametrize("heading", ["query doc rel", "Query-ID\tCorpus-ID\tScore", "\nquery-id\tcorpus-id\tscore"])
@pytest.mark.parametrize("form", ["beir", "trec"])
def test_headings_of_judgements(heading: str, form: str) -> None:
    assert read(qrels=QRELS.replace("query-id\tcorpus-id\tscore", heading), form=form) == read()


def test_a_question_may_be_called_as_a_column_is() -> None:
    data = read(queries=json_lines([{"_id": "query", "text": "rain?"}]), qrels="query\td1\t1e0\n")
    assert [(one.id, dict(one.gains)) for one in data.questions] == [("query", {0: 1.0})]


def test_headings_of_texts_in_columns() -> None:
    corpus, queries, qrels = "d1\tIt rains.\n", "q1\train?\n", "q1 0 d1 1\n"
    plain = read(corpus.encode(), queries.encode(), qrels, "trec")
    for heading in ("id\ttext\n", "\nDocID\tTitle\tText\n"):
        assert read((heading + corpus).encode(), ("qid\tquery\n" + queries).encode(), qrels, "trec") == plain
    with pytest.raises(DataError, match="line 1: the first line has the id 'id', as a heading has"):
        read(b"id\tIndonesian words\n" + corpus.encode(), queries.encode(), qrels, "trec")


@pytest.mark.parametrize(("what", "line"), [("question", "{} d1 1\n"), ("candidate", "q1 {} 1\n")])
@pytest.mark.parametrize(("here", "there"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9"), ("\u212a", "K")])
def test_an_id_in_another_unicode_form(what: str, line: str, here: str, there: str) -> None:
    corpus = json_lines([*CORPUS, {"_id": there, "text": "x"}])
    queries = json_lines([*QUERIES, {"_id": there, "text": "x"}])
    with pytest.raises(DataError, match=f"qrels.tsv, line 1: the {what} .* has another Unicode form in another file"):
        read(corpus, queries, line.format(here))


def test_a_question_of_which_one_form_is_judged() -> None:
    rows = [{"_id": form, "text": "x", "lang": lang} for form, lang in (("caf\u00e9", "en"), ("cafe\u0301", "fr"))]
    for judged in ("caf\u00e9", "cafe\u0301"):
        with pytest.raises(DataError, match=r"queries.jsonl, line [12]: the question .* has another Unicode form"):
            read(queries=json_lines(rows), qrels=f"{judged} d1 1\n")


def test_a_large_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text("q1\td1\t1\n" + "".join(f"q1\tnot-there-{n:020}\t1\n" for n in range(40_000)), encoding="utf-8")
    files = DataFile("corpus.jsonl", json_lines(CORPUS)), DataFile("queries.jsonl", json_lines(QUERIES))
    tracemalloc.start()
    data = READERS.get("beir").read(*files, DataFile(str(path), path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.notes[0].startswith("40,000 judgements are of a question or candidate that is not there")
    assert peak < path.stat().st_size / 5


def task_of(folder: Path, corpus: bytes = json_lines(CORPUS), **keys: str) -> Path:
    """A task of one section, `mixed`, whose lines name their languages."""
    (folder / "corpus.jsonl").write_bytes(corpus)
    (folder / "queries.jsonl").write_bytes(json_lines({"language": "en"} | row for row in QUERIES))
    (folder / "qrels.tsv").write_text(QRELS, encoding="utf-8")
    keys = {"languages": '["en", "fr"]', "parallel": "false"} | keys
    head = "".join(f"{key} = {value}\n" for key, value in keys.items())
    files = "".join(
        f'{part} = {{ path = "{name}" }}\n'
        for part, name in (("corpus", "corpus.jsonl"), ("queries", "queries.jsonl"), ("qrels", "qrels.tsv"))
    )
    (folder / "mixed.toml").write_text(f'name = "mixed"\nformat = "beir"\n{head}[files.mixed]\n{files}')
    return folder / "mixed.toml"


CORPUS_OF_TWO = json_lines({"lang": "en"} | row for row in CORPUS)


def test_lines_that_name_their_languages_and_graded_gains(tmp_path: Path) -> None:
    data = load_task(task_of(tmp_path, CORPUS_OF_TWO))
    assert [candidate.id for candidate in data.candidates] == ["en:d1", "en:d3", "fr:d2"]
    assert [query.id for query in data.queries] == ["en:mixed:q1", "fr:mixed:q2"]
    assert data.relevants == ((0, 2), (1,))
    assert data.gains == ((2.0, 1.0), (1.0,))


def test_lines_in_languages_that_the_task_does_not_name_are_told(tmp_path: Path) -> None:
    with pytest.warns(Notice) as caught:
        data = load_task(task_of(tmp_path, CORPUS_OF_TWO, languages='["en"]', settings='["monolingual"]'))
    assert [str(one.message) for one in caught] == [
        "mixed, mixed: candidates in languages that the task does not name for its candidates are left out: fr 1",
        "mixed, mixed: questions in languages that the task does not name for its questions are left out: fr 1",
    ]
    assert data.relevants == ((0,),)
    with pytest.raises(DataError, match="the task mixed has no candidate in sw"):
        load_task(task_of(tmp_path, CORPUS_OF_TWO, candidate_languages='["en", "fr", "sw"]'))


@pytest.mark.parametrize(("other", "own"), [("fra-Latn", "fr"), ("fr", "fra-Latn")])
def test_another_code_of_a_language_in_lines_is_read_as_the_tasks(tmp_path: Path, other: str, own: str) -> None:
    task = task_of(tmp_path, CORPUS_OF_TWO.replace(b'"fr"', f'"{other}"'.encode()), languages=f'["en", "{own}"]')
    queries = (tmp_path / "queries.jsonl").read_text(encoding="utf-8").replace('"fr"', f'"{other}"')
    (tmp_path / "queries.jsonl").write_text(queries, encoding="utf-8")
    with pytest.warns(Notice, match=f"^mixed, mixed: {other} is read as {own}, as mixed calls this language$"):
        data = load_task(task)
    assert [candidate.id for candidate in data.candidates] == ["en:d1", "en:d3", f"{own}:d2"]
    assert data.relevants == ((0, 2), (1,))


@pytest.mark.filterwarnings("ignore::xqr_bench.core.observe.Notice")
@pytest.mark.parametrize("qrels", ["", "query-id\tcorpus-id\tscore\n"])
def test_a_task_without_judgements_is_told_so(tmp_path: Path, qrels: str) -> None:
    task = task_of(tmp_path, CORPUS_OF_TWO)
    (tmp_path / "qrels.tsv").write_text(qrels, encoding="utf-8")
    with pytest.raises(DataError, match=r"no question in en\n  found: 2 questions have no judged candidate"):
        load_task(task)


@pytest.mark.parametrize("section", ["mixed", "en", "fr"])
@pytest.mark.parametrize("code", ["en", "fr"])
def test_a_part_is_the_same_whatever_its_section_is_called(tmp_path: Path, section: str, code: str) -> None:
    task = task_of(tmp_path, CORPUS_OF_TWO, parallel="true")
    rows = [{"_id": "q1", "text": text, "lang": lang} for text, lang in (("rain?", "en"), ("pluie ?", "fr"))]
    (tmp_path / "queries.jsonl").write_bytes(json_lines(rows))
    (tmp_path / "qrels.tsv").write_text("q1\td1\t2\nq1\td2\t3\n", encoding="utf-8")
    whole = load_task(task)
    task.write_text(task.read_text(encoding="utf-8").replace("files.mixed", f"files.{section}"), encoding="utf-8")
    assert load_task(task) == whole
    part = load_task(task, languages=[code])
    assert part == load_task(whole, languages=[code])
    assert [query.id for query in part.queries] == [f"{code}:q1"]


def test_of_a_task_that_is_downloaded_the_named_sections_are_read() -> None:
    assert list(load_spec("miracl").sections(["sw", "yo"])) == ["sw", "yo"]
    assert list(load_spec("ciral").sections(["en", "yo"])) == ["yo"]


def test_grades_are_gains_of_ndcg_and_of_nothing_else(tmp_path: Path) -> None:
    """One ranking, d2 before d1 for q1: its gains 1 and 2 are found in the wrong order."""
    task = task_of(tmp_path, CORPUS_OF_TWO, metrics='["map", "ndcg@10"]', settings='["multilingual"]')
    places = {"d2": [1.0, 0.0], "d1": [0.8, 0.6], "d3": [0.0, 1.0]}
    texts = {row["text"] if not row.get("title") else f"{row['title']} {row['text']}": row["_id"] for row in CORPUS}

    class Encoder:
        def encode(self, sentences: list[str]) -> np.ndarray:
            return np.array([places[texts[one]] if one in texts else [1.0, 0.0] for one in sentences])

    figures = evaluate(Encoder(), task).scores["multilingual"].by_query_language["en"]
    assert figures["map"].value == 1
    found, best = 1 + 2 / np.log2(3), 2 + 1 / np.log2(3)
    assert figures["ndcg@10"].value == pytest.approx(found / best, abs=1e-12)


def write_as_beir(folder: Path) -> Path:
    """The embedded task in BEIR form, a folder a language, and its task file; the corpora are packed."""
    data = load_task("mini")
    task = ['name = "mini-beir"', f"languages = {list(data.languages)}".replace("'", '"'), 'format = "beir"']
    for code in data.languages:
        (folder / code).mkdir()
        corpus = [{"_id": one.id, "text": one.text} for one in data.candidates if one.language == code]
        (folder / code / "corpus.jsonl.gz").write_bytes(gzip.compress(json_lines(corpus)))
        queries = [{"_id": one.question, "text": one.text} for one in data.queries if one.language == code]
        (folder / code / "queries.jsonl").write_bytes(json_lines(queries))
        pairs = [
            (query.question, data.candidates[index].id)
            for query, relevants in zip(data.queries, data.relevants, strict=True)
            for index in relevants
            if query.language == code == data.candidates[index].language
        ]
        lines = "".join(f"{question}\t{candidate}\t1\n" for question, candidate in pairs)
        (folder / code / "test.tsv").write_text(lines, encoding="utf-8")
        task.append(f"[files.{code}]")
        for part, name in (("corpus", "corpus.jsonl.gz"), ("queries", "queries.jsonl"), ("qrels", "test.tsv")):
            task.append(f'{part} = {{ path = "{code}/{name}" }}')
    (folder / "mini-beir.toml").write_text("\n".join(task), encoding="utf-8")
    return folder / "mini-beir.toml"


def test_the_same_task_in_another_form_has_the_same_figures(tmp_path: Path) -> None:
    there, back = evaluate("char-ngrams", "mini"), evaluate("char-ngrams", write_as_beir(tmp_path))
    assert list(there.scores) == list(back.scores)
    for setting, scores in there.scores.items():
        of_back = back.scores[setting]
        assert {name: one.value for name, one in scores.macro.items()} == {
            name: one.value for name, one in of_back.macro.items()
        }
        for code, figures in scores.by_query_language.items():
            assert figures["map"].value == of_back.by_query_language[code]["map"].value
