"""`xqr-bench tasks` and `xqr-bench data list|fetch|verify`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.kit import PARTIAL, run, words
from tests.tasks.loopback import Answer, Loopback, serve_task, write_remote_task
from xqr_bench.tasks import list_specs

pytestmark = pytest.mark.usefixtures("own_surroundings")


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_tasks() -> None:
    result = run("tasks")
    assert result.code == 0
    first = [line.split()[0] for line in result.out.splitlines() if line.strip()]
    names = {spec.name for spec in list_specs()}
    assert sorted(word for word in first if word in names) == sorted(names)
    languages = ["7:", "ar", "de", "en", "es", "hi", "vi", "zh"]
    assert ["mlqa-r", *languages, "CC", "BY-NC", "4.0"] in rows(result.out)
    assert ", in 2: en fr" in result.out  # of the candidates, where the queries are in others
    assert max(map(len, result.out.splitlines())) <= 80


def test_one_task_with_its_data_at_hand() -> None:
    result = run("tasks", "mini")
    assert result.code == 0
    lines = rows(result.out)
    assert ["th", "Thai", "Thai", "3", "71.7", "139,917", "24", "36", "4.2%"] in lines
    of_class = "group joshi-3 languages of resource class 3, of 0 (least) to 5 (Joshi et al. 2020): el, th"
    assert of_class.split() in lines
    assert ["licence", "Apache-2.0,", "https://www.apache.org/licenses/LICENSE-2.0"] in lines
    assert "24 distinct questions in 6 articles" in result.out


def test_one_task_without_its_data(tmp_path: Path) -> None:
    result = run("tasks", "mlqa-r")
    assert result.code == 0
    lines = rows(result.out)
    assert ["hi", "Hindi", "Deva", "4", "20.2", "142,300"] in lines
    assert f"no counts: 7 of 7 files are not in {tmp_path}/cache/xqr-bench/data/mlqa-r/" in result.out
    assert "to do: xqr-bench data fetch mlqa-r" in result.out
    assert "no language of mlqa-r belongs to the group joshi-3" in " ".join(result.out.split())
    assert "vi (not in this task: el)" in result.out
    assert "eprint = {1910.07475}" in result.out


def test_a_new_task_is_checked_and_three_examples_are_shown(tmp_path: Path) -> None:
    done = run("tasks", "check", str(PARTIAL))
    assert done.code == 0
    assert done.out.count("\nquery ") == 3
    assert max(map(len, done.out.splitlines())) <= 80
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "Rain", "text": "It rains."}\n', encoding="utf-8")
    (tmp_path / "queries.tsv").write_text("q1\tmvua?\nq2\tjua?\n", encoding="utf-8")
    (tmp_path / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d9 1\n", encoding="utf-8")
    task = tmp_path / "mine.toml"
    task.write_text(
        """
        name = "mine"
        format = "trec"
        languages = ["sw"]
        candidate_languages = ["en"]
        settings = ["cross-lingual"]
        [files.sw]
        corpus = { path = "corpus.jsonl", candidates_in = "en" }
        queries = { path = "queries.tsv" }
        qrels = { path = "qrels.txt" }
        """,
        encoding="utf-8",
    )
    done = run("tasks", "check", str(task))
    assert done.out.endswith("query sw:q1 (sw)\n  mvua?\n  relevant en:d1 (en), gain 2\n    Rain It rains.\n")
    assert "mine, sw: 1 judgements are of a question or candidate that is not there, such as q1 d9" in done.err
    assert "mine, sw: 1 questions have no judged candidate and are left out, such as q2" in done.err
    (tmp_path / "qrels.txt").write_text("q1 0 d1 -2\n", encoding="utf-8")
    done = run("tasks", "check", str(task))
    assert done.code == 1
    assert "qrels.txt, line 1: the grade -2 is no gain" in words(done.out)
    done = run("tasks", "check")
    assert "error: tasks takes the name of a task, or check and a task file; not check" in done.err


def test_a_task_file() -> None:
    result = run("tasks", str(PARTIAL))
    assert ["all", "33", "56"] in rows(result.out)
    assert ["source", "beside", "the", "task", "file"] in rows(result.out)


def test_list_tells_what_is_at_hand_and_where(tmp_path: Path) -> None:
    result = run("data", "list")
    assert result.code == 0
    lines = rows(result.out)
    assert lines[0] == ["task", "at", "hand", "size", "licence"]
    assert lines[1] == ["mini", "11", "of", "11", "0.2", "MB", "Apache-2.0"]
    assert lines[2] == ["xquad-r", "0", "of", "11", "-", "CC", "BY-SA", "4.0"]
    assert f"mlqa-r (cache): {tmp_path}/cache/xqr-bench/data/mlqa-r/354d67d1" in result.out


def test_list_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "xquad-r").mkdir()
    (tmp_path / "xquad-r" / "de.json").write_bytes(b"x" * 2_500)
    result = run("data", "list", "--data-dir", str(tmp_path), "xquad-r")
    assert ["xquad-r", "1", "of", "11", "2.5", "kB", "CC", "BY-SA", "4.0"] in rows(result.out)
    assert f"xquad-r (data folder): {tmp_path}/xquad-r" in result.out


def test_fetch_shows_the_licence_and_fills_the_cache(loopback: Loopback, tmp_path: Path) -> None:
    serve_task(loopback)
    task = str(write_remote_task(tmp_path, loopback.address))
    first = run("data", "fetch", task)
    assert first.code == 0
    assert "remote: licence Test Licence 1.0 (https://example.org/licence)" in first.out
    assert "remote: 4 downloaded, 0 already there, in " in first.out
    assert "remote: 0 downloaded, 4 already there, in " in run("data", "fetch", task).out
    assert len(loopback.requests) == 4
    assert "remote: 4 downloaded, 0 already there, in " in run("data", "fetch", "--force", task).out
    assert "remote: 33 queries, 56 candidates, 4 articles" in run("data", "verify", task).out


def test_fetch_of_everything_asks_for_both_downloads(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_MIRROR", loopback.address)
    loopback.answers["/xquad-r/ar.json"] = [Answer(body=b"not it")]
    assert "is not the file the task names" in run("data", "fetch").err
    assert loopback.requests == ["/xquad-r/ar.json"]


def test_fetch_where_there_is_nothing_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_DATA", str(tmp_path))
    result = run("data", "fetch", "mini")
    assert result.out.splitlines() == [
        "mini: nothing to fetch, its files are read where they are",
        f"note: XQR_BENCH_DATA is set, so {tmp_path} is read in place of the cache",
    ]


def test_a_failed_download_is_one_message(loopback: Loopback, tmp_path: Path) -> None:
    done = run("data", "fetch", str(write_remote_task(tmp_path, loopback.address)))
    assert done.code == 1
    assert f"error: cannot download {loopback.address}/r1/remote/en.json: the server answered 404" in done.err
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_verify_of_everything_passes_over_what_was_never_fetched() -> None:
    result = run("data", "verify")
    assert result.code == 0
    assert "mini: 264 queries, " in result.out
    assert "mlqa-r: not fetched (xqr-bench data fetch mlqa-r)" in result.out


def test_verify_of_a_named_task_that_was_never_fetched() -> None:
    result = run("data", "verify", "mlqa-r")
    assert result.code == 1
    assert "FAULT mlqa-r/ar.json: mlqa-r: there is no file " in result.out
    assert "7 faults found" in result.err


def test_verify_reports_each_fault_and_goes_on(tmp_path: Path) -> None:
    own = shutil.copytree(PARTIAL.parent, tmp_path / "own")
    (own / "de.json").write_text("{}")
    done = run("data", "verify", str(own / "task.toml"))
    assert done.code == 1
    assert "top level: the key 'data' is missing" in done.out
    assert [line[:2] for line in rows(done.out) if line[0] in {"ok", "FAULT"}] == [
        ["ok", "en.json"],
        ["FAULT", "de.json:"],
        ["ok", "es.json"],
        ["ok", "vi.json"],
    ]
    assert "no digest to check, 10 questions, 21 candidates" in done.out
    assert done.err == "1 fault found\n"


def test_verify_finds_languages_that_do_not_fit_together(tmp_path: Path) -> None:
    own = shutil.copytree(PARTIAL.parent, tmp_path / "own")
    for code in ("en", "de", "es", "vi"):
        path = own / f"{code}.json"
        path.write_text(re.sub(r'"q(\d\d)"', rf'"{code}\1"', path.read_text(encoding="utf-8")), encoding="utf-8")
    result = run("data", "verify", str(own / "task.toml"))
    assert result.code == 1
    assert "FAULT the task partial is not parallel: en, de, es, vi shares no question id" in words(result.out)
