"""Collections whose files lie as those of MIRACL, CIRAL and NeuCLIR do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from xqr_bench import evaluate
from xqr_bench.core.errors import DataError, TaskError
from xqr_bench.tasks import load_spec, load_task

pytestmark = pytest.mark.usefixtures("own_surroundings")


def collection(path: Path, texts: dict[str, str]) -> None:
    rows = ({"docid": key, "title": "", "text": text, "url": "https://example.org"} for key, text in texts.items())
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def task(folder: Path, head: str, **sections: tuple[str, str, str]) -> Path:
    lines = ['name = "mine"', 'format = "trec"', head]
    for section, parts in sections.items():
        lines.append(f"[files.{section}]")
        lines += [f"{part} = {{ {file} }}" for part, file in zip(("corpus", "queries", "qrels"), parts, strict=True)]
    (folder / "mine.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder / "mine.toml"


def test_miracl(tmp_path: Path) -> None:
    """Each language has questions, passages and judgements of its own."""
    for code, texts in {"sw": {"1#0": "Mto ni maji.", "1#1": "Ziwa."}, "yo": {"1#0": "Odo.", "7#2": "Ojo."}}.items():
        collection(tmp_path / f"docs-{code}.jsonl.gz", texts)
        (tmp_path / f"topics-{code}.tsv").write_text(f"0\t{code} odo mto?\n", encoding="utf-8")
        (tmp_path / f"qrels-{code}.tsv").write_text("0\tQ0\t1#0\t1\n0\tQ0\t1#1\t0\n", encoding="utf-8")
    sections = {
        code: tuple(f'path = "{name}"' for name in (f"docs-{code}.jsonl.gz", f"topics-{code}.tsv", f"qrels-{code}.tsv"))
        for code in ("sw", "yo")
    }
    settings = 'settings = ["monolingual", "multilingual"]'
    path = task(tmp_path, f'languages = ["sw", "yo"]\nparallel = false\n{settings}', **sections)
    with pytest.warns(UserWarning, match="mine, yo: 1 judgements are of a question or candidate that is not there"):
        data = load_task(path)
    assert [candidate.id for candidate in data.candidates] == ["sw:1#0", "sw:1#1", "yo:1#0", "yo:7#2"]
    assert data.relevants == ((0,), (2,))
    assert len({query.question for query in data.queries}) == 2
    with pytest.warns(UserWarning, match="mine, yo: 1 judgements"):
        record = evaluate("char-ngrams", path)
    assert set(record.scores["multilingual"].by_query_language) == {"sw", "yo"}


def test_ciral(tmp_path: Path) -> None:
    """English questions, others for each language of the passages; equal ids mean nothing."""
    for code in ("ha", "so"):
        collection(tmp_path / f"{code}.jsonl", {f"doc{number}#1": f"{code} {number}" for number in range(2)})
        (tmp_path / f"{code}.tsv").write_text(f"1\tquestion for {code}\n", encoding="utf-8")
        (tmp_path / f"{code}.txt").write_text("1 Q0 doc1#1 1\n", encoding="utf-8")
    head = """
    languages = ["en"]
    candidate_languages = ["ha", "so"]
    parallel = false
    settings = ["cross-lingual", "multilingual"]
    """
    sections = {
        code: (f'path = "{code}.jsonl"', f'path = "{code}.tsv", questions_in = "en"', f'path = "{code}.txt"')
        for code in ("ha", "so")
    }
    path = task(tmp_path, head, **sections)
    data = load_task(path)
    assert [(query.id, query.text) for query in data.queries] == [
        ("en:ha:1", "question for ha"),
        ("en:so:1", "question for so"),
    ]
    assert data.relevants == ((1,), (3,))
    assert set(evaluate("char-ngrams", path).scores["cross-lingual"].by_language_pair) == {"en>ha", "en>so"}
    path.write_text(path.read_text(encoding="utf-8").replace("parallel = false", ""), encoding="utf-8")
    with pytest.raises(
        DataError, match="has the question id '1' twice in en\n  found: 'question for ha' and"
    ) as caught:
        load_task(path)
    assert "in the files of ha and so too" in str(caught.value)
    path.write_text(path.read_text(encoding="utf-8").replace('questions_in = "en"', 'questions_in = "fr"'))
    with pytest.raises(TaskError, match=r"files\.ha\.queries\.questions_in: fr is not among the languages"):
        load_spec(path)


def test_neuclir(tmp_path: Path) -> None:
    """One set of English topics for all collections, with grades 0, 1 and 3."""
    (tmp_path / "topics.tsv").write_text("1\train\n2\tsnow\n", encoding="utf-8")
    for code, qrels in {"fa": "1 0 a 3\n1 0 b 0\n", "ru": "1 0 a 1\n2 0 b 1\n"}.items():
        collection(tmp_path / f"{code}.jsonl", {"a": f"{code} a", "b": f"{code} b"})
        (tmp_path / f"{code}.qrels").write_text(qrels, encoding="utf-8")
    head = """
    languages = ["en"]
    candidate_languages = ["fa", "ru"]
    settings = ["cross-lingual", "multilingual"]
    """
    topics = 'path = "topics.tsv", questions_in = "en"'
    sections = {code: (f'path = "{code}.jsonl"', topics, f'path = "{code}.qrels"') for code in ("fa", "ru")}
    with pytest.warns(UserWarning, match="mine, fa: 1 questions have no judged candidate and are left out, .* 2"):
        data = load_task(task(tmp_path, head, **sections))
    assert [query.id for query in data.queries] == ["en:1", "en:2"]
    assert data.relevants == ((0, 2), (3,))
    assert data.gains == ((3.0, 1.0), (1.0,))
    for code, text in (("fa", "caf\u00e9"), ("ru", "cafe\u0301")):  # they look alike
        (tmp_path / f"{code}.tsv").write_text(f"1\t{text}\n2\tsnow\n", encoding="utf-8")
        sections[code] = (sections[code][0], f'path = "{code}.tsv", questions_in = "en"', sections[code][2])
    with pytest.warns(UserWarning, match="1 questions have no judged candidate"):
        assert load_task(task(tmp_path, head, **sections)).relevants == data.relevants
