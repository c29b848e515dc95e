"""Readers of training data: what they read, and what they refuse, with file and line."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA, needs_data
from tests.train.build import parallel, partly_parallel, planned
from xqr_bench.core.errors import DataError, DownloadError, UnknownNameError, UsageError
from xqr_bench.tasks import load_task
from xqr_bench.train.data import article_folds, keep_articles, keep_languages, load_training_data, without_articles

ROWS = [
    {
        "id": "q1",
        "article": "A",
        "paragraph": "1",
        "languages": {
            "en": {"query": "Who?", "passage": "She.", "passage_id": "s1", "negatives": ["He."]},
            "de": {"query": "Wer?", "passage": "Sie.", "passage_id": "s1"},
        },
    },
    {"id": "q2", "article": "A", "paragraph": "1", "languages": {"en": {"query": "When?", "passage": "Then."}}},
    {"id": "q3", "article": "B", "paragraph": "1", "languages": {"sw": {"query": "Nani?", "passage": "Yeye."}}},
]


def write_jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", encoding="utf-8"
    )
    return path


def test_jsonl(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "mine.jsonl", [*ROWS, ""])
    data = load_training_data(path)
    assert (data.name, data.languages, data.ids) == ("mine", ("de", "en", "sw"), ("q1", "q2", "q3"))
    assert data.query(0, "de") == "Wer?"
    assert data.passage(1, "en") == "Then."
    assert data.query(1, "de") == ""
    assert data.hard_negatives(0, "en") == ("He.",)
    assert data.hard_negatives(0, "de") == ()
    assert data.has.tolist() == [[True, True, False], [False, True, False], [False, False, True]]
    assert data.articles.tolist() == [0, 0, 1]
    assert data.paragraphs.tolist() == [0, 0, 1]  # a paragraph belongs to its article
    assert data.files == {"mine.jsonl": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert data.partial == {}
    assert not data.fully_parallel


def test_jsonl_parts_and_compression(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "mine.jsonl", list(ROWS))
    packed = tmp_path / "mine.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert load_training_data(packed).digest == load_training_data(path).digest
    assert load_training_data(packed).files["mine.jsonl.gz"] == hashlib.sha256(packed.read_bytes()).hexdigest()
    part = load_training_data(path, languages=["en"], limit=2)
    assert (part.languages, part.ids) == (("en",), ("q1", "q2"))
    assert part.partial == {"languages": ["en"], "limit": 2}
    with pytest.raises(UsageError, match="has no language fr"):
        load_training_data(path, languages=["fr"])
    with pytest.raises(UsageError, match="limit is 0"):
        load_training_data(path, limit=0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id": ', "line 2: not JSON"),
        ("[]", "line 2: Input should be"),
        ({"languages": {"en": {"query": "q", "passage": "p"}}}, "line 2: id: Field required"),
        ({"id": "x", "languages": {}}, "line 2: languages: Dictionary should have at least 1 item"),
        ({"id": "x", "languages": {"en": {"query": "q", "passage": "p"}}, "language": {}}, "language: Extra inputs"),
        ({"id": "x", "languages": {"en": {"query": " ", "passage": "p"}}}, "en.query: Value error, the text is empty"),
        ({"id": "x", "languages": {"en": {"query": "\u200b", "passage": "p"}}}, "the text is empty"),
        ({"id": "x", "languages": {"en": {"query": "q", "passage": 3}}}, "en.passage: Input should be a valid string"),
        ({"id": "x", "languages": {"en": {"query": "q"}}}, "languages.en.passage: Field required"),
        ({"id": "x", "languages": {"en": {"query": "q", "passage": "p", "negatives": [""]}}}, "en.negatives.0: Value"),
        ({"id": "x", "languages": {"en": {"query": "q", "passage": "p", "negatives": ["p"]}}}, "one of its negatives"),
        (
            {"id": "q1", "languages": {"en": {"query": "q", "passage": "p"}}},
            "line 2: the question id 'q1' occurs twice",
        ),
    ],
)
def test_jsonl_lines_that_are_wrong(tmp_path: Path, row: object, message: str) -> None:
    path = write_jsonl(tmp_path / "mine.jsonl", [ROWS[0], row])
    with pytest.raises(DataError) as caught:
        load_training_data(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("code", ["english", "xx", "EN", ""])
def test_unknown_language_codes(tmp_path: Path, code: str) -> None:
    path = write_jsonl(tmp_path / "m.jsonl", [{"id": "x", "languages": {code: {"query": "q", "passage": "p"}}}])
    with pytest.raises(DataError, match=r"m\.jsonl, line 1: .* is no language code"):
        load_training_data(path)


def test_files_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*none\.jsonl"):
        load_training_data(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="neither a task of this name nor a file"):
        load_training_data("xquad-rr")
    with pytest.raises(UsageError, match="in no format of training data") as caught:
        load_training_data(tmp_path)
    assert "an empty folder" in str(caught.value)
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"id": "\xe4"}\n')
    with pytest.raises(DataError, match="line 1: not UTF-8"):
        load_training_data(latin)
    with pytest.raises(DataError, match="no question to train on"):
        load_training_data(write_jsonl(tmp_path / "empty.jsonl", [""]))
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(gzip.compress(b"{}" * 500)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        load_training_data(broken)
    with pytest.raises(UsageError, match="is no option"):
        load_training_data("mmarco?negatives")


def write_bitext(folder: Path, **columns: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for code, lines in columns.items():
        (folder / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_bitext(tmp_path: Path) -> None:
    english = ["one", "\ufeff\u200b", "three"]
    folder = write_bitext(tmp_path / "news", de=["eins", "zwei", "drei"], en=english, ru=["a", "b", "c"])
    (folder / "DOCUMENT_IDS.tsv").write_text("d1\nd1\nd2\n")
    (folder / "LICENSE.txt").write_text("not a language")
    data = load_training_data(folder, languages=["en", "de"])
    assert (data.kind, data.name, data.languages) == ("bitext", "news", ("en", "de"))
    assert data.ids == ("line-1", "line-2", "line-3")
    assert data.query(0, "en") == data.passage(0, "en") == "one"
    assert data.has.tolist() == [[True, True], [False, True], [True, True]]
    assert data.articles.tolist() == [0, 0, 1]
    assert set(data.files) == {"en.txt", "de.txt", "DOCUMENT_IDS.tsv"}
    write_bitext(folder, de=["eins", "zwei"])
    with pytest.raises(DataError, match="same number of lines") as caught:
        load_training_data(folder)
    assert "de.txt 2" in str(caught.value)
    write_bitext(tmp_path / "one", de=["eins"])
    with pytest.raises(DataError, match="it has 1 files"):
        load_training_data(f"bitext:{tmp_path / 'one'}")


def squad(question: str, sentence: str, *, sentences: bool) -> str:
    context = f"{sentence} More."
    paragraph: dict[str, object] = {
        "context": context,
        "qas": [{"id": "s1", "question": question, "answers": [{"answer_start": 0, "text": sentence[:2]}]}],
    }
    if sentences:
        n = len(sentence)
        paragraph |= {"sentences": [sentence, "More."], "sentence_breaks": [[0, n], [n + 1, n + 6]]}
    return json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]})


def test_squad_folder(tmp_path: Path) -> None:
    for code in ("en", "de"):
        (tmp_path / f"{code}.json").write_text(squad(f"q {code}", f"Answer {code}.", sentences=True))
    data = load_training_data(tmp_path)
    assert (data.languages, data.passage(0, "en"), data.fully_parallel) == (("de", "en"), "Answer en.", True)
    (tmp_path / "de.json").write_text(squad("q de", "Answer de.", sentences=False))
    assert load_training_data(tmp_path).passage(0, "de") == "Answer de. More."
    of_hub = squad("q de", "Answer de.", sentences=False).replace('[{"answer_start": 0, "text": "An"}]', "{}")
    (tmp_path / "de.json").write_text(of_hub.replace("{}", '{"text": ["An"], "answer_start": [0]}'))
    assert load_training_data(tmp_path).passage(0, "de") == "Answer de. More."
    (tmp_path / "de.json").write_text(of_hub.replace("{}", '{"text": [], "answer_start": []}'))
    with pytest.raises(DataError, match="has no question in de"):  # unanswerable
        load_training_data(tmp_path)
    (tmp_path / "de.json").write_text('{"data": [{"paragraphs": [{"qas": [{"answers": [1]}]}]}]}')
    with pytest.raises(DataError, match=r"de\.json: article 0, paragraph 0, question 0: .*'id' is missing"):
        load_training_data(tmp_path)


def write_mmarco(root: Path) -> Path:
    """Three queries, six passages, two languages, in the layout of unicamp-dl/mmarco."""
    for folder in ("queries/train", "collections"):
        (root / "data/google" / folder).mkdir(parents=True)
    (root / "data/triples.train.ids.small.tsv").write_text("7\t1\t4\n8\t2\t4\n7\t1\t5\n7\t3\t4\n9\t6\t1\n")
    for name, mark in (("english", "en"), ("vietnamese", "vi")):
        queries = "".join(f"{q}\tquery {q} {mark}\n" for q in (9, 8, 7, 6))
        passages = "".join(f"{p}\tpassage {p} {mark} đ\n" for p in range(9))
        (root / f"data/google/queries/train/{name}_queries.train.tsv").write_text(queries, encoding="utf-8")
        (root / f"data/google/collections/{name}_collection.tsv").write_text(passages, encoding="utf-8")
    return root


def test_mmarco_from_local_files(tmp_path: Path) -> None:
    root = write_mmarco(tmp_path / "mm")
    data = load_training_data(f"{root}?negatives=2", languages=["vi", "en"])
    assert (data.languages, data.ids) == (("vi", "en"), ("7", "8", "9"))
    assert (data.query(0, "vi"), data.passage(0, "vi")) == ("query 7 vi", "passage 1 vi đ")
    assert data.hard_negatives(0, "en") == ("passage 4 en đ", "passage 5 en đ")
    assert data.hard_negatives(2, "en") == ("passage 1 en đ",)
    assert "en:3" in data.relevant_keys[0]  # the second positive: never a negative of this question
    assert set(data.files) == {
        "data/triples.train.ids.small.tsv",
        *(f"data/google/queries/train/{name}_queries.train.tsv" for name in ("english", "vietnamese")),
        *(f"data/google/collections/{name}_collection.tsv" for name in ("english", "vietnamese")),
    }
    for name, digest in data.files.items():
        assert hashlib.sha256((root / name).read_bytes()).hexdigest() == digest
    assert load_training_data(root, languages=["en"], limit=2).ids == ("7", "8")
    assert load_training_data(f"{root}?negatives=0", languages=["en"]).negatives is None
    plan = planned(load_training_data(f"{root}?negatives=0", languages=["en", "vi"]), alpha=0.5, steps=3, batch_size=2)
    assert plan.batch_size == 2
    with pytest.raises(UsageError, match="cannot be filled"):  # query 9's negative is the passage of query 7
        planned(load_training_data(root, languages=["en", "vi"], limit=3), alpha=0.5, steps=3, batch_size=3)


@pytest.mark.parametrize("nothing", [" ", "\u200b\u200d"])
def test_mmarco_left_out_where_a_translation_is_empty(tmp_path: Path, nothing: str) -> None:
    root = write_mmarco(tmp_path / "mm")
    path = root / "data/google/collections/vietnamese_collection.tsv"
    path.write_text(path.read_text().replace("2\tpassage 2 vi đ", f"2\t{nothing}"))
    data = load_training_data(root, languages=["en", "vi"])
    assert data.has.tolist() == [[True, True], [True, False], [True, True]]


def test_mmarco_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_mmarco(tmp_path / "mm")
    with pytest.raises(UsageError, match="name the languages"):
        load_training_data(root)
    with pytest.raises(UnknownNameError, match="language of mMARCO"):
        load_training_data(root, languages=["th"])
    with pytest.raises(DataError, match=r"no file .*german_queries"):
        load_training_data(root, languages=["de"])
    with pytest.raises(UsageError, match="negatives of mmarco"):
        load_training_data(f"{root}?negatives=many", languages=["en"])
    with pytest.raises(UnknownNameError, match="option of mmarco"):
        load_training_data(f"{root}?negative=1", languages=["en"])
    collection = root / "data/google/collections/english_collection.tsv"
    whole = collection.read_bytes()
    collection.write_bytes(whole.replace(b"5\tpassage", b"5 passage"))
    with pytest.raises(DataError, match="line 6: no tab"):
        load_training_data(root, languages=["en"])
    collection.write_bytes(whole[:40])
    with pytest.raises(DataError, match=r"lacks .* ids that the triples name"):
        load_training_data(root, languages=["en"])
    triples = root / "data/triples.train.ids.small.tsv"
    triples.write_text("1\t2\t3\n1\t2\n")
    with pytest.raises(DataError, match=r"triples.*three whole numbers") as caught:
        load_training_data(root, languages=["en"])
    assert "Row #2" in str(caught.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(DownloadError, match=r"cannot download data/triples"):
        load_training_data("mmarco", languages=["en"])


def test_parts() -> None:
    data = parallel(30)  # paragraphs 0..29, three to an article
    part = keep_articles(data, [2, 0])
    assert part.ids == ("q0", "q1", "q2", "q6", "q7", "q8")
    assert part.partial == {"articles": [0, 2]}
    assert set(without_articles(data, [0, 2]).ids) | set(part.ids) == set(data.ids)
    assert part.digest != data.digest
    with pytest.raises(UsageError, match="no question"):
        keep_articles(data, [99])
    two = keep_languages(data, ["es", "de"])
    assert two.languages == ("es", "de")
    assert two.query(3, "es") == data.query(3, "es")
    assert two.relevant_keys == data.relevant_keys  # also what is shared in a language left out
    partly = partly_parallel(40)
    assert keep_languages(partly, ["th"]).n_questions == int(partly.has[:, 3].sum())
    with pytest.raises(UsageError, match="cannot be kept"):
        keep_languages(data, ["ru"])


def test_folds_by_article() -> None:
    data = parallel(30)
    folds = article_folds(data, 4, np.random.default_rng(0))
    assert sorted(np.concatenate(folds).tolist()) == sorted(set(data.articles.tolist()))
    sizes = [keep_articles(data, fold).n_questions for fold in folds]
    assert max(sizes) - min(sizes) <= 3
    for one, other in zip(folds, article_folds(data, 4, np.random.default_rng(0)), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UsageError, match="cannot be divided into 11 folds"):
        article_folds(data, 11, np.random.default_rng(0))


def test_digest_is_of_what_training_sees() -> None:
    assert parallel(5).digest == parallel(5, name="other").digest
    assert parallel(5).digest != parallel(5, passage_of={1: 0}).digest
    assert parallel(5).digest != parallel(5, paragraph_of={1: 0}).digest
    assert parallel(5).digest != parallel(5, kind="bitext").digest


def test_mini_task() -> None:
    data = load_training_data("mini", limit=5)
    assert data.fully_parallel
    assert data.n_questions == 5
    assert load_training_data(load_task("mini"), languages=["en"]).languages == ("en",)
    assert load_training_data(data, languages=["de"]).languages == ("de",)


@needs_data
def test_real_tasks_and_bitext() -> None:
    from dataclasses import fields

    xquad = load_training_data("xquad-r")
    assert (xquad.n_questions, len(xquad.languages), xquad.fully_parallel) == (1190, 11, True)
    assert len(set(xquad.articles.tolist())) == 48
    assert len(set(xquad.paragraphs.tolist())) == 240
    assert len(set(xquad.passage_ids[xquad.language_index["en"]])) == 787
    mlqa = load_training_data("mlqa-r")
    assert np.bincount(mlqa.has.sum(axis=1)).tolist() == [0, 0, 65, 263, 820]
    assert len(set(mlqa.articles.tolist())) == 520
    es, ar = mlqa.language_index["es"], mlqa.language_index["ar"]
    assert int((mlqa.has[:, es] & mlqa.has[:, ar]).sum()) == 161
    ntrex = load_training_data("ntrex")
    assert (ntrex.n_questions, len(ntrex.languages), ntrex.kind) == (1997, 11, "bitext")
    assert ntrex.fully_parallel
    folder = load_training_data(Path(str(DATA)) / "xquad-r")  # the same files, as a folder of one's own
    for field in fields(xquad):
        if field.name not in ("source", "files"):
            same = getattr(folder, field.name) == getattr(xquad, field.name)
            assert np.all(same), field.name
