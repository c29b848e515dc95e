"""The shipped judged collections, whose files are not here, from file sets of their layouts; parts of several files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from xqr_bench import evaluate
from xqr_bench.core.errors import DataError, TaskError
from xqr_bench.core.observe import Notice
from xqr_bench.core.types import CROSS_LINGUAL, JUDGED, MONOLINGUAL, MULTILINGUAL, TaskData
from xqr_bench.record import load_record, recompute, save_record
from xqr_bench.tasks import TaskSpec, load_spec, load_task
from xqr_bench.tasks.sources import verify

pytestmark = pytest.mark.usefixtures("own_surroundings")


def without_digests(name: str) -> TaskSpec:
    """The shipped task, for files of the same layout with other content."""
    spec = load_spec(name)
    files = {key: file.model_copy(update={"sha256": None}) for key, file in spec.files.items()}
    return spec.model_copy(update={"files": files})


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def judged(data: TaskData) -> dict[str, tuple[dict[str, float], list[str]]]:
    """Query -> its relevants with their gains, and what was judged irrelevant."""
    assert data.irrelevant is not None
    gains = data.gains or [[1.0] * len(of) for of in data.relevants]
    found = {}
    for query, relevants, of_query, others in zip(data.queries, data.relevants, gains, data.irrelevant, strict=True):
        named = {data.candidates[i].id: gain for i, gain in zip(relevants, of_query, strict=True)}
        found[query.id] = named, [data.candidates[i].id for i in others]
    return found


def write_miracl(folder: Path, codes: Sequence[str]) -> None:
    for code in codes:
        shards = sum(key.startswith(f"{code}.corpus") for key in load_spec("miracl").files)
        for n in range(shards):
            rows = [{"docid": f"{n}#{p}", "title": f"{code} {n}", "text": f"passage {code} {n} {p}"} for p in range(3)]
            write(folder, {f"miracl/{code}/docs-{n}.jsonl.gz": lines(rows)})
        qrels = f"1\tQ0\t0#1\t1\n1\tQ0\t{shards - 1}#2\t0\n2\tQ0\t{shards - 1}#0\t1\n"
        topics = f"1\tpassage {code} 0 1?\n2\tpassage {code} {shards - 1}\n"
        write(folder, {f"miracl/{code}/topics.tsv": topics, f"miracl/{code}/qrels.tsv": qrels})


def test_miracl(tmp_path: Path) -> None:
    """Shards of a corpus are one; equal ids of two languages are different questions; one pool of all languages."""
    write_miracl(tmp_path, ["sw", "te", "yo"])
    data = load_task(without_digests("miracl"), data_dir=tmp_path, languages=["sw", "te", "yo"])
    assert data.column_sizes.tolist() == [3, 6, 3]
    assert judged(data)["te:1"] == ({"te:0#1": 1.0}, ["te:1#2"])
    assert judged(data)["te:2"] == ({"te:1#0": 1.0}, [])
    assert len({query.question for query in data.queries}) == 6
    assert [one.text for one in data.candidates][:2] == ["sw 0 passage sw 0 0", "sw 0 passage sw 0 1"]
    assert [key for key in data.files if "te/docs" in key] == ["miracl/te/docs-0.jsonl.gz", "miracl/te/docs-1.jsonl.gz"]
    spec = without_digests("miracl").model_copy(update={"languages": ("sw", "te", "yo")})
    (tmp_path / "out").mkdir()
    codes = ["sw", "te", "yo"]
    result = evaluate("char-ngrams", without_digests("miracl"), cache=False, data_dir=tmp_path, languages=codes)
    plain, alone = result.scores[MULTILINGUAL].macro["map"], result.relevance[JUDGED].scores[MULTILINGUAL].macro
    assert plain.value is not None
    assert alone["map"].value is not None
    assert alone["map"].value >= plain.value
    assert alone["bpref"].n == 6
    assert recompute(load_record(save_record(result, tmp_path / "out" / "miracl.json"), ranks=True))[1] == []
    counts = [check.candidates for check in verify(spec, tmp_path) if check.candidates]
    assert counts == [3, 6, 3]


def test_ciral(tmp_path: Path) -> None:
    """English questions of both test sets, passages in four languages; each language has questions of its own."""
    names = {"ha": "hausa", "so": "somali", "sw": "swahili", "yo": "yoruba"}
    for code, name in names.items():
        rows = [
            {"docid": f"DOC#{n}#0", "title": f"{code} {n}", "text": f"habari {n}", "url": "https://a"} for n in range(4)
        ]
        write(
            tmp_path,
            {
                f"ciral/{name}_passages.jsonl": lines(rows),
                f"ciral/{code}/topics-a.tsv": f"1\tWhat of {code}?\n",
                f"ciral/{code}/topics-b.tsv": "20\tWhat else?\n",
                f"ciral/{code}/qrels-a.tsv": "1\tQ0\tDOC#0#0\t1\n1\tQ0\tDOC#3#0\t0\n",
                f"ciral/{code}/qrels-b.tsv": "20\tQ0\tDOC#1#0\t1\n20\tQ0\tDOC#2#0\t1\n20\tQ0\tDOC#0#0\t0\n",
            },
        )
    data = load_task(without_digests("ciral"), data_dir=tmp_path)
    assert (data.query_languages, data.languages) == (("en",), tuple(names))
    assert len(data.queries) == 8
    assert judged(data)["en:so:20"] == ({"so:DOC#1#0": 1.0, "so:DOC#2#0": 1.0}, ["so:DOC#0#0"])
    result = evaluate("char-ngrams", without_digests("ciral"), cache=False, data_dir=tmp_path)
    assert result.relevance[JUDGED].scores[CROSS_LINGUAL].macro["bpref"].n == 8


def test_neuclir(tmp_path: Path) -> None:
    """A topic is one question of all three collections; somewhat valuable is relevant, and gains are 1 and 3."""
    for code, name in (("fa", "fas"), ("ru", "rus"), ("zh", "zho")):
        rows = [
            {"id": f"{code}-{n}", "title": f"T {n}", "text": f"news {n}", "url": "u", "time": "t", "cc_file": "f"}
            for n in range(3)
        ]
        write(tmp_path, {f"neuclir/{name}.jsonl.gz": lines(rows)})
        rare = f"2 0 {code}-1 0\n" if code != "ru" else f"2 0 {code}-1 3\n"
        write(tmp_path, {f"neuclir/qrels-{code}.txt": f"0 0 {code}-0 3\n0 0 {code}-1 1\n0 0 {code}-2 0\n{rare}"})
    write(tmp_path, {"neuclir/topics.tsv": "0\tI look for news. News\n2\tMore of it. More\n3\tNever judged. None\n"})
    with pytest.warns(Notice, match="neuclir, fa: 1 questions have no judged candidate and are left out, such as 3"):
        data = load_task(without_digests("neuclir"), data_dir=tmp_path)
    gains = {f"{code}-{n}": 3.0 - 2 * n for code in ("fa", "ru", "zh") for n in (0, 1)}
    assert judged(data) == {
        "en:0": ({f"{key[:2]}:{key}": gain for key, gain in gains.items()}, ["fa:fa-2", "ru:ru-2", "zh:zh-2"]),
        "en:2": ({"ru:ru-1": 3.0}, ["fa:fa-1", "zh:zh-1"]),
    }
    assert data.relevant_from == 1.0
    with pytest.warns(Notice, match="questions have no judged candidate"):
        result = evaluate("char-ngrams", without_digests("neuclir"), cache=False, data_dir=tmp_path)
    assert result.task.relevant_from == 1.0
    assert result.scores[CROSS_LINGUAL].macro["ndcg@20"].value is not None


def test_topics_as_nist_publishes_them(tmp_path: Path) -> None:
    """HC4 and NeuCLIR: a line a topic, with its forms in several languages."""
    english = {"lang": "eng", "source": "original", "topic_title": "Rain", "topic_description": "Where does it rain?"}
    persian = {"lang": "fas", "source": "human translation", "topic_title": "باران", "topic_description": "کجا؟"}
    topic = {"topic_id": "7", "languages_with_qrels": ["fas"], "topics": [persian, english], "narratives": {}}
    write(tmp_path, {"c.jsonl": lines([{"id": "a", "text": "باران"}]), "q.jsonl": lines([topic]), "r.txt": "7 0 a 3\n"})
    head = 'name = "own"\nformat = "trec"\nlanguages = ["en"]\ncandidate_languages = ["fa"]\n'
    parts = (
        'settings = ["cross-lingual"]\n'
        '[files.fa]\ncorpus = { path = "c.jsonl" }\nqueries = { path = "q.jsonl", questions_in = "en" }\n'
        'qrels = { path = "r.txt" }\n'
    )
    (tmp_path / "own.toml").write_text(head + parts)
    data = load_task(tmp_path / "own.toml")
    assert [(query.id, query.text) for query in data.queries] == [("en:7", "Where does it rain? Rain")]
    write(tmp_path, {"q.jsonl": lines([{**topic, "topics": [persian]}])})
    with pytest.raises(DataError, match=r"q.jsonl, line 1: the topic has no English form"):
        load_task(tmp_path / "own.toml")


def task_file(folder: Path, corpus: str, form: str = "trec") -> Path:
    head = f'name = "own"\nformat = "{form}"\nlanguages = ["en"]\nsettings = ["monolingual"]\n[files.en]\n'
    path = folder / "own.toml"
    path.write_text(f'{head}corpus = {corpus}\nqueries = {{ path = "q.tsv" }}\nqrels = {{ path = "r.tsv" }}\n')
    return path


def test_a_part_of_several_files(tmp_path: Path) -> None:
    """By a list or by a count; a fault names the file it is in, and each may have its digest."""
    write(tmp_path, {"c-0.tsv": "a\tone\n", "c-1.tsv": "b\ttwo\n", "q.tsv": "q\t?\n", "r.tsv": "q\t0\tb\t1\n"})
    listed = load_task(task_file(tmp_path, '[{ path = "c-0.tsv" }, { path = "c-1.tsv" }]'))
    counted = load_task(task_file(tmp_path, '{ path = "c-{n}.tsv", count = 2 }'))
    assert [one.id for one in listed.candidates] == ["en:a", "en:b"]
    assert listed == counted
    write(tmp_path, {"c-1.tsv": "no tab\n"})
    with pytest.raises(DataError, match=r"c-1.tsv, line 1: no tab"):
        load_task(tmp_path / "own.toml")
    for corpus, message in (
        ('{ path = "c.tsv", count = 2 }', "files.en.corpus.count: no number of files, or no {n} in their path"),
        ('{ path = "c-{n}.tsv", count = 0 }', "files.en.corpus.count"),
        ('{ path = "c-{n}.tsv", count = true }', "files.en.corpus.count"),
        ('{ path = "c-{n}.tsv", count = 1000000 }', "at most 10,000"),
        ("[]", "files.en.corpus: the format trec needs this file"),
        ('[{ paths = "c-0.tsv" }]', "path"),
    ):
        with pytest.raises(TaskError, match=message):
            load_spec(task_file(tmp_path, corpus))
    (tmp_path / "own.toml").write_text(
        'name = "own"\nformat = "aligned"\nlanguages = ["de", "en"]\nsettings = ["cross-lingual"]\n[files.de]\n'
        'text = [{ path = "a.txt" }]\n[files.en]\ntext = { path = "b.txt" }\n'
    )
    with pytest.raises(TaskError, match=r"files.de.text: the format aligned has one file here"):
        load_spec(tmp_path / "own.toml")


@pytest.mark.parametrize("name", ["miracl", "ciral", "neuclir"])
def test_every_file_is_pinned(name: str) -> None:
    """By a digest, or by the commit in its address; judgements and topics by both."""
    spec = load_spec(name)
    for key, file in spec.files.items():
        assert "/main/" not in str(spec.url(key))
        assert (file.sha256 is None) == (".corpus" in key)
    assert (spec.settings == (MONOLINGUAL, MULTILINGUAL)) == (name == "miracl")
    assert spec.licence is not None
    assert "arXiv" in spec.citation or "doi" in spec.citation


def test_a_digest_still_counts(tmp_path: Path) -> None:
    write_miracl(tmp_path, ["yo"])
    with pytest.raises(DataError, match="is not the file the task miracl names"):
        load_task("miracl", data_dir=tmp_path, languages=["yo"])
