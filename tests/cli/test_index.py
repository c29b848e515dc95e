"""`evaluate --index` and `xqr-bench search`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.kit import PARTIAL, read_json, run, words

PART = ("--languages", "ar,en,th", "--metrics", "map,recall@10,rank_distance")


def test_the_record_says_what_the_index_did() -> None:
    done = run("evaluate", "char-ngrams", *PART, "--index", "hnsw", "--index-param", "ef_search=50", "--depth", "20")
    assert done.code == 0, done.err
    path = Path("results/char-ngrams_hnsw-ef_search50-depth20/mini.json")
    record = read_json(path)
    assert record["model"]["name"] == "char-ngrams+hnsw-ef_search50-depth20"
    assert record["index"]["type"] == "hnsw"
    assert record["index"]["parameters"] == {"m": 32, "ef_construction": 40, "ef_search": 50}
    assert record["index"]["depth"] == record["ranks_file"]["depth"] == 20
    assert set(record["index"]["recall_against_exact"]) == {"1", "10", "100"}
    assert record["scores"]["multilingual"]["rank_distance"]["value"] is None
    assert "cut at a depth" in record["scores"]["multilingual"]["rank_distance"]["undefined_reason"]
    assert record["provenance"]["settings"]["index"]["depth"] == 20
    assert "lists cut at 20 a language: measures that need every rank are undefined (–)" in words(done.out)
    done = run("show", str(path), "--full")
    shown = words(done.out)
    assert "mini: index hnsw (m 32, ef_construction 40, ef_search 50), built in" in shown
    assert "of the best 10" in shown
    assert "lists cut at 20 a language: measures that need every rank are undefined (–)" in shown
    assert max(map(len, done.out.splitlines())) <= 100
    assert run("recompute", str(path)).code == 0


def test_an_index_is_of_one_task_and_not_lost_to_a_record_that_exists() -> None:
    both = ("--task", "mini", "--task", str(PARTIAL), "--metrics", "map")
    done = run("evaluate", "char-ngrams", *both, "--index", "flat", "--save-index", "x")
    assert "error: a folder holds the index of one task, not of 2" in words(done.err)
    assert run("evaluate", "char-ngrams", *PART, "--index", "flat").code == 0
    done = run("evaluate", "char-ngrams", *PART, "--index", "flat", "--save-index", "x")
    assert (done.code, Path("x/index.json").is_file()) == (0, True)
    done = run("evaluate", "char-ngrams", *PART, "--index", "hnsw", "--save-index", "x")
    assert "error: x holds an index already to do: name a new folder, or give --overwrite" in words(done.err)


def test_a_task_of_ones_own_is_found_again() -> None:
    run("evaluate", "char-ngrams", "--task", str(PARTIAL), "--metrics", "map", "--index", "flat", "--save-index", "x")
    assert "read only when you name it" in run("search", "x", "Who?").err
    done = run("search", "x", "Who?", "-k", "1", "--json", "--task", str(PARTIAL))
    assert json.loads(done.out)[0]["rank"] == 1


@pytest.fixture
def index() -> str:
    done = run("evaluate", "char-ngrams", *PART, "--index", "hnsw", "--save-index", "index")
    assert done.code == 0, done.err
    assert "index: index" in done.err
    return "index"


def test_search_shows_all_languages_with_tags_and_scores(index: str) -> None:
    done = run("search", index, "كم يبلغ ارتفاع برج المنارة؟", "-k", "5")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "rank   score  lang  id        text"
    assert lines[2].split()[0] == "1"
    assert lines[2].split()[2:4] == ["ar", "ar:0:0:2"]
    assert "\u2067" not in done.out  # not a terminal
    assert done.err == "mini, char-ngrams, index hnsw\n"


def test_search_filters_and_prints_json(index: str) -> None:
    found = json.loads(run("search", index, "tower", "-k", "3", "--language", "th", "--json").out)
    assert [one["language"] for one in found] == ["th"] * 3
    assert set(found[0]) == {"rank", "score", "language", "id", "text"}


def test_interactive_goes_on_after_an_error(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("tower\nstairs\n\nnever\n"))
    done = run("search", index, "--interactive", "-k", "1")
    assert done.out.count("question> ") == 3
    assert done.out.count("lang  id") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("tower"))
    done = run("search", index, "--interactive", "--language", "xx")
    assert "error: there is no language of the index index named 'xx'" in done.err
    assert done.code == 0


def test_search_without_a_question(index: str) -> None:
    done = run("search", index)
    assert words(done.err) == (
        'error: there is no question to do: give one: xqr-bench search FOLDER "..." (or --interactive)'
    )


def test_approximate_scores_are_called_so() -> None:
    few = ["--index-param", "nlist=2", "--index-param", "nprobe=2", "--index-param", "min_points_per_centroid=1"]
    done = run("evaluate", "char-ngrams", *PART, "--index", "ivfpq", *few, "--save-index", "pq")
    assert done.code == 0, done.err
    assert "approximate score" in run("search", "pq", "tower", "-k", "1").out


def test_the_context_is_part_of_the_protocol() -> None:
    done = run("evaluate", "char-ngrams", *PART, "--candidate-context", "paragraph")
    assert "candidates: sentence with its paragraph" in done.out
    record = read_json(Path("results/char-ngrams_paragraph/mini.json"))
    assert record["model"]["identity"]["candidate_context"] == "{sentence}\n{paragraph}"
    more = ("--candidate-context", "paragraph", "--context-template", "{paragraph} {sentence}", "--overwrite")
    assert "as '{paragraph} {sentence}'" in run("evaluate", "char-ngrams", *PART, *more).out
