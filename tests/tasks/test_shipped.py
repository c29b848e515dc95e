"""Shipped tasks whose files are not here, read from file sets of the same layout; how tasks are listed and checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import ran, run
from xqr_bench.core.errors import DataError, TaskError
from xqr_bench.core.observe import Notice
from xqr_bench.tasks import load_spec, load_task, pending_downloads
from xqr_bench.tasks.find import shipped_tasks

pytestmark = pytest.mark.usefixtures("own_surroundings")


def write_mlqa(folder: Path) -> None:
    """Three questions on two paragraphs: all languages have the first, English and one other each of the others."""
    (folder / "MLQA_V1" / "test").mkdir(parents=True)
    for code in load_spec("mlqa").languages:
        asked = [
            ("q1", 0),
            *([("q2", 0)] if code in ("en", "de") else []),
            *([("q3", 1)] if code in ("en", "zh") else []),
        ]
        paragraphs = [
            {
                "context": f"{code} paragraph {place} answers",
                "qas": [
                    {"id": key, "question": f"{code} {key}?", "answers": [{"text": code, "answer_start": 0}]}
                    for key, there in asked
                    if there == place
                ],
            }
            for place in range(2)
        ]
        content = {"version": 1.0, "data": [{"title": f"{code} article", "paragraphs": paragraphs}]}
        path = folder / "MLQA_V1" / "test" / f"test-context-{code}-question-{code}.json"
        path.write_text(json.dumps(content), encoding="utf-8")


def test_mlqa_from_its_unpacked_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unpack https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip and name the folder"):
        load_task("mlqa")
    assert pending_downloads(load_spec("mlqa")) == ()
    write_mlqa(tmp_path)
    data = load_task("mlqa", data_dir=tmp_path)
    assert (len(data.queries), len(data.candidates)) == (11, 14)
    first = {
        query.id: [data.candidates[i].id for i in of] for query, of in zip(data.queries, data.relevants, strict=True)
    }
    assert first["zh:q1"] == [f"{code}:0:0" for code in data.languages]
    assert first["zh:q3"] == ["en:0:1", "zh:0:1"]
    assert set(data.files) == {file.path for file in load_spec("mlqa").files.values()}
    assert "unpack https" in ran("data", "fetch", "mlqa").out
    assert "digest" in ran("data", "verify", "mlqa", "--data-dir", str(tmp_path)).out


def test_belebele_in_122_languages(tmp_path: Path) -> None:
    spec = load_spec("belebele")
    assert len(spec.languages) == 122
    assert spec.url("acm-Arab") == (
        "https://huggingface.co/datasets/facebook/belebele/resolve/"
        "7899cdfa4e1e0d733fd77c848e2c273cb1d32be2/data/acm_Arab.jsonl"
    )
    (tmp_path / "belebele").mkdir()
    for code in spec.languages:
        rows = [("https://a", 1), ("https://a", 2), ("https://b", 1)]
        text = "".join(
            json.dumps(
                {"link": link, "question_number": n, "flores_passage": f"{code} {link}", "question": f"{code} {n}?"}
            )
            + "\n"
            for link, n in rows
        )
        (tmp_path / spec.files[code].path).write_text(text, encoding="utf-8")
    data = load_task("belebele", data_dir=tmp_path)
    assert (len(data.queries), len(data.candidates)) == (3 * 122, 2 * 122)
    assert all(len(relevants) == 122 for relevants in data.relevants)
    with pytest.warns(Notice, match="en is read as eng-Latn, as belebele calls this language"):
        part = load_task("belebele", data_dir=tmp_path, languages=["en", "hin-Latn"])
    assert part.languages == ("eng-Latn", "hin-Latn")
    members = spec.group_members()
    winners = "arb-Arab arb-Latn deu-Latn eng-Latn fra-Latn jpn-Jpan spa-Latn zho-Hans zho-Hant"
    assert " ".join(members["joshi-5"].members) == winners
    classed = {code for group in members.values() for code in group.members}
    unknown = "acm-Arab apc-Arab ars-Arab ary-Arab fuv-Latn kac-Latn kea-Latn luo-Latn"
    assert [code for code in spec.languages if code not in classed] == unknown.split()


def test_the_listing_groups_tasks_in_80_columns() -> None:
    out = ran("tasks").out
    assert max(map(len, out.splitlines())) <= 80
    for name in shipped_tasks():
        assert f"\n{name} " in out
    headings = [line for line in out.splitlines() if line and not line.startswith((" ", "task", "xqr-bench"))]
    assert [line.strip() for line in headings if line.split()[0] not in shipped_tasks()] == [
        "to try the commands out",
        "a sentence and its translation",
        "judged collections",
        "questions in languages that candidates are not in",
        "questions and sentences, in the same languages",
        "questions and paragraphs, in the same languages",
    ]


def test_a_copy_of_a_shipped_file_is_checked(tmp_path: Path) -> None:
    write_mlqa(tmp_path)
    copy = tmp_path / "copy.toml"
    copy.write_bytes(shipped_tasks()["mlqa"].read_bytes())
    done = run("tasks", "check", str(copy), "--data-dir", str(tmp_path))
    assert done.code == 0, done.err
    assert "note: mlqa is the name of a shipped task" in done.out
    assert done.out.count("\nquery ") == 3
    assert "is the name of a shipped task" in run("evaluate", "random", "--task", str(copy)).err


def test_a_source_excludes_other_places(tmp_path: Path) -> None:
    for line, message in (
        ('embedded = "mini"', "base_url, source and embedded exclude each other"),
        ("", "licence: a task with source needs a licence"),
    ):
        (tmp_path / "own.toml").write_text(
            f'name = "own"\nformat = "squad"\nlanguages = ["de"]\nsettings = ["monolingual"]\nsource = "https://a"\n{line}\n'
            'files = { de = { path = "de.json" } }\n',
            encoding="utf-8",
        )
        with pytest.raises(TaskError, match=message):
            load_spec(tmp_path / "own.toml")


def test_large_tasks_are_fetched_when_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("xqr_bench.tasks.fetch", lambda spec, key, **_: bool(asked.append(spec.name)))
    out = ran("data", "fetch").out
    assert {"xquad-r", "mlqa-r", "xquad"} <= set(asked)
    assert not {"belebele", "miracl", "mlqa", "mini"} & set(asked)
    assert "belebele: not fetched, for it was not named (xqr-bench data fetch belebele)" in out
    ran("data", "fetch", "belebele")
    assert asked.count("belebele") == 122
