"""Bad data in every format: read as it was meant where that is certain, else one line that names it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import small_task
from xqr_bench.core.errors import DataError
from xqr_bench.core.observe import Notice
from xqr_bench.evaluation.ranker import Task
from xqr_bench.tasks import READERS, DataFile, SourceData, load_task, readers, resolve_task
from xqr_bench.tasks.assemble import assemble
from xqr_bench.tasks.readers import SourceCandidate, SourceQuestion

Files = dict[str, str]


def squad(sentences: bool) -> str:
    context = "Café Müller opened in 1978. It closed in 2009."
    paragraph: dict[str, object] = {
        "context": context,
        "qas": [{"id": "q1", "question": "When?", "answers": [{"answer_start": 22, "text": "1978"}]}],
    }
    if sentences:
        paragraph |= {"sentences": [context[:27], context[28:]], "sentence_breaks": [[0, 27], [28, 46]]}
    return json.dumps({"data": [{"title": "Café", "paragraphs": [paragraph]}]}, ensure_ascii=False, indent=1)


def lines(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


AFRIQA = {"id": "1", "question_lang": "Café?", "question_translated": "Café", "context": "Müller", "title": "é"}
BELEBELE = {"link": "a", "question_number": 1, "flores_passage": "Café Müller", "question": "Wo?"}
JUDGED = {
    "corpus": lines({"_id": "d1", "text": "Café"}, {"_id": "d2", "text": "Müller"}),
    "queries": lines({"_id": "q1", "text": "Wo?"}),
    "qrels": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
}
GOOD: dict[str, Files] = {
    "squad": {"": squad(False)},
    "lareqa": {"": squad(True)},
    "afriqa": {"": lines(AFRIQA)},
    "afriqa-translated": {"": lines(AFRIQA)},
    "belebele": {"": lines(BELEBELE)},
    "aligned": {"text": "Café\nMüller\n", "documents": "é\né\n"},
    "aligned-pairs": {"text": "Café\nMüller\n", "translation": "coffee\nmiller\n"},
    "beir": JUDGED,
    "trec": {"corpus": "d1\tCafé\nd2\tMüller\n", "queries": "q1\tWo?\n", "qrels": "q1 0 d1 1\n"},
}
EACH_FILE = [(form, part) for form, files in GOOD.items() for part in files]


def read(form: str, files: dict[str, str | bytes] | Files) -> SourceData:
    contents = {part: text.encode() if isinstance(text, str) else text for part, text in files.items()}
    return READERS.get(form).read(*(DataFile(part or "file", content) for part, content in contents.items()))


def test_every_reader_is_looked_at() -> None:
    assert {*GOOD, "parquet"} >= {name for name in READERS if not READERS.get(name).of_library}


@pytest.mark.parametrize(("form", "part"), EACH_FILE)
def test_a_byte_order_mark_and_other_ends_of_lines_change_nothing(form: str, part: str) -> None:
    meant = read(form, GOOD[form])
    assert meant.questions
    for change in (lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")):
        assert read(form, GOOD[form] | {part: change(GOOD[form][part])}) == meant


@pytest.mark.parametrize(("form", "part"), EACH_FILE)
def test_mixed_encodings_are_named_with_their_line(form: str, part: str) -> None:
    """A line in Latin-1 at the end of a file in UTF-8."""
    content = GOOD[form][part].encode() + "Müller\n".encode("latin-1")
    number = GOOD[form][part].count("\n") + 1
    with pytest.raises(DataError, match=rf"not UTF-8 text\n.*on line {number}:|line {number}: not UTF-8 text"):
        read(form, GOOD[form] | {part: content})


@pytest.mark.parametrize(("form", "part"), EACH_FILE)
def test_sizes_are_bounded(form: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LARGEST", 3)
    monkeypatch.setattr(readers, "LONGEST", 3)
    with pytest.raises(DataError, match=r"too (large|long)"):
        read(form, GOOD[form] | {part: GOOD[form][part] or "long"})


@pytest.mark.parametrize(
    ("form", "part", "text", "message"),
    [
        (
            "squad",
            "",
            GOOD["squad"][""].replace("Café Müller opened in 1978. It closed in 2009.", "\u200b"),
            "is empty",
        ),
        ("squad", "", GOOD["squad"][""].replace("When?", "\u200b"), "the question is empty"),
        ("squad", "", GOOD["squad"][""].replace("22", "23"), "does not stand at answer_start 23"),
        ("squad", "", GOOD["squad"][""].replace("1978. It", "1979. It"), "does not stand at answer_start 22"),
        ("lareqa", "", GOOD["lareqa"][""].replace("22", "25"), "does not stand at answer_start 25"),
        ("belebele", "", lines(BELEBELE | {"question": "\u200b"}), "line 1: .* passage or question is empty"),
        ("belebele", "", lines(BELEBELE, BELEBELE | {"question": "Wer?"}), "line 2: .* a#1 had other texts in line 1"),
        ("afriqa", "", lines(AFRIQA, AFRIQA | {"context": "x"}), "line 2: the id '1' had other texts in line 1"),
        (
            "beir",
            "corpus",
            JUDGED["corpus"] + lines({"_id": "d1", "text": "x"}),
            "line 3: the candidate id 'd1' had an",
        ),
        (
            "beir",
            "queries",
            JUDGED["queries"] + lines({"_id": "q1", "text": "x"}),
            "line 2: the question id 'q1' had an",
        ),
        ("trec", "corpus", "d1\tCafé\nd1\tTee\n", "line 2: the candidate id 'd1' had another text"),
        ("trec", "qrels", "q1 0 d1 high\n", "line 1: the grade 'high' is no number"),
        ("aligned", "documents", "one\n", "documents: not as many lines as text"),
        ("aligned-pairs", "translation", "one\n", "translation: not as many lines as text"),
    ],
)
def test_what_cannot_be_meant_is_an_error(form: str, part: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(form, GOOD[form] | {part: text})


def test_a_question_id_twice_in_a_squad_file() -> None:
    article = json.loads(squad(False))["data"][0]
    with pytest.raises(DataError, match="the question id 'q1' occurs twice in this language"):
        read("squad", {"": json.dumps({"data": [article, article]})})


@pytest.mark.parametrize(
    ("form", "part", "more", "note"),
    [
        ("belebele", "", lines(BELEBELE), "1 lines stand there again and count once, such as a#1"),
        ("afriqa", "", lines(AFRIQA), "1 lines stand there again and count once, such as 1"),
        ("beir", "corpus", lines({"_id": "d1", "text": "Café"}), "1 candidates stand there again with the same text"),
        ("beir", "corpus", lines({"_id": "d1", "text": "Cafe\u0301\u200b"}), "1 candidates stand there again with the"),
        ("beir", "queries", lines({"_id": "q1", "text": "Wo?"}), "1 questions stand there again with the same text"),
        ("beir", "queries", lines({"_id": "q2", "text": "Wer?"}), "1 questions have no judged candidate"),
        ("beir", "corpus", lines({"_id": "d3", "text": "\u200b"}), "1 candidates have no text and are left out"),
        (
            "beir",
            "qrels",
            "q1\td9\t1\n",
            "1 judgements are of a question or candidate that is not there, such as q1 d9",
        ),
        (
            "trec",
            "qrels",
            "q9 0 d1 1\n",
            "1 judgements are of a question or candidate that is not there, such as q9 d1",
        ),
        ("aligned", "text", "\u200b\n", "1 lines without text are left out, such as line 3"),
        ("aligned-pairs", "text", "\u200b\n", "1 lines without text are left out, such as line 3"),
    ],
)
def test_what_is_left_out_is_counted_and_the_rest_stays(form: str, part: str, more: str, note: str) -> None:
    files = GOOD[form] | {part: GOOD[form][part] + more}
    if form.startswith("aligned"):
        files[next(name for name in files if name != part)] += "more\n"
    data = read(form, files)
    assert any(line.startswith(note) for line in data.notes)
    meant = read(form, GOOD[form])
    assert (data.candidates, data.questions) == (meant.candidates, meant.questions)


def test_rows_of_parquet() -> None:
    def packed(rows: list[dict[str, object]]) -> bytes:
        stream = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), stream)
        return stream.getvalue()

    corpus = [{"_id": "d1", "text": "Café"}, {"_id": "d1", "text": "Café"}, {"_id": "d2", "text": "\u200b"}]
    qrels = [{"query-id": "q1", "corpus-id": key, "score": 1} for key in ("d1", "d9")]
    data = read("parquet", {"c": packed(corpus), "q": packed([{"_id": "q1", "text": "?"}]), "j": packed(qrels)})
    assert len(data.notes) == 3
    assert [one.id for one in data.candidates] == ["d1"]


def test_an_answer_in_another_unicode_form_is_told() -> None:
    text = squad(False).replace('"text": "1978"', '"text": "Café"').replace("22", "0")
    with pytest.raises(DataError, match="write context and answer in one Unicode form"):
        read("squad", {"": text.replace('"text": "Café"', f'"text": "{normalize("NFD", "Café")}"')})


def data_of(*texts: str) -> SourceData:
    candidates = tuple(SourceCandidate(str(number), text) for number, text in enumerate(texts))
    return SourceData(candidates, (SourceQuestion("q", "?", {0: 1.0}),))


@pytest.mark.parametrize("twin", [normalize("NFD", "Café"), "Ca\u200bfé", "\ufeffCafé"])
def test_texts_that_look_alike_are_told_and_kept(twin: str) -> None:
    with pytest.warns(
        Notice, match="t: 1 candidates look like another of their language, .* such as de:1; each is kept"
    ):
        data = assemble("t", {"de": data_of("Café", twin, "Tee")}, files={}, partial={})
    assert [candidate.text for candidate in data.candidates] == ["Café", twin, "Tee"]
    assert len(assemble("t", {"de": data_of("Cafe", twin, "Tee")}, files={}, partial={}).candidates) == 3


def test_a_language_without_a_single_relevant() -> None:
    lonely = replace(data_of("Tee"), questions=(SourceQuestion("r", "?", {}),))
    with pytest.raises(DataError, match=r"no question in sw with a relevant candidate"):
        assemble("t", {"de": data_of("Café"), "sw": lonely}, files={}, partial={}, parallel=False)


def test_queries_of_ones_own_without_relevants() -> None:
    """Left out where data of Python is read, and refused where it would be ranked."""
    whole = small_task(4, {"de": 4, "en": 4})
    data = replace(whole, relevants=((), *whole.relevants[1:]))
    with pytest.warns(Notice, match="queries without a relevant candidate are left out: de 1"):
        answered = load_task(data)
    assert (answered.queries, answered.relevants) == (whole.queries[1:], whole.relevants[1:])
    assert load_task(whole) is whole
    with pytest.raises(DataError, match=r"1 queries of the task .* have no relevant candidate\n  found: such as de:"):
        Task(resolve_task(data), data)


PIECES = [
    b"",
    b"\xff",
    b"\x00",
    b"\n",
    b"{",
    b"[",
    b'"',
    b"null",
    b"-1",
    b"1e999",
    b"\\ud83d",
    b"\t",
    b"9" * 400,
    b"[" * 2000,
]


@given(data=st.data())
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("form", GOOD)
def test_damage_is_read_or_refused(form: str, data: st.DataObject) -> None:
    """Whatever stands in a file: data that can be put together, or an error of ours."""
    files = dict(GOOD[form])
    part = data.draw(st.sampled_from(sorted(files)))
    content = files[part].encode()
    begin = data.draw(st.integers(0, len(content)))
    end = min(len(content), begin + data.draw(st.sampled_from([0, 1, 5, 50])))
    damaged: dict[str, str | bytes] = {
        **files,
        part: content[:begin] + data.draw(st.sampled_from(PIECES)) + content[end:],
    }
    with warnings.catch_warnings(), suppress(DataError):
        warnings.simplefilter("ignore", Notice)
        assert all(assemble("t", {"de": read(form, damaged)}, files={}, partial={}).relevants)


FIVE_GB = """
import resource, sys
from pathlib import Path
from xqr_bench.tasks import READERS, DataFile
files = [DataFile(name, Path(name)) for name in sys.argv[1:]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = READERS.get("beir").read(*files)
print(len(data.candidates), before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_five_gigabytes_are_streamed(tmp_path: Path) -> None:
    """Each line has 50 kB that are no text: 5 GB are read in the memory that 100,000 short texts take."""
    number, filling = 100_000, "x" * 50_000
    with (tmp_path / "corpus.jsonl").open("w", encoding="utf-8") as stream:
        for place in range(number):
            stream.write(f'{{"_id": "d{place}", "text": "text {place}", "vector": "{filling}"}}\n')
    assert (tmp_path / "corpus.jsonl").stat().st_size > 5_000_000_000
    (tmp_path / "queries.jsonl").write_text(JUDGED["queries"], encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text("q1\td7\t1\n", encoding="utf-8")
    names = [str(tmp_path / name) for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv")]
    done = subprocess.run([sys.executable, "-c", FIVE_GB, *names], capture_output=True, text=True, check=True)
    print(done.stdout)
    read_texts, before, peak = map(int, done.stdout.split())
    assert read_texts == number
    assert peak - before < 200_000, done.stdout  # kB
