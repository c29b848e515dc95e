"""`inspect`, as a user runs it: the terminal, the page, the values, and records of every kind."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from unittest.mock import patch

import html5lib
import pytest

from tests.benchmarks.bench_languages import make_files
from tests.kit import BOARD, edit, ran, run, words
from tests.rank.test_parts import write as write_parts
from tests.tasks.test_afriqa import write as write_afriqa
from tests.test_judgements import QRELS, write_task
from xqr_bench import load_record
from xqr_bench.analysis.questions import question_views
from xqr_bench.report.numbers import kept_score, number
from xqr_bench.report.questions import rank_text
from xqr_bench.report.text import cells

A, B, C = (f"results/{name}/mini.json" for name in ("one", "two", "three"))
PART = ("--task", "mini", "--languages", "de,en,th", "--quiet")


def test_a_folder_stands_for_its_record(records: Path) -> None:
    assert ran("inspect", "results/one", "--top", "1").out == ran("inspect", A, "--top", "1").out
    done = run("inspect", "results")
    assert done.code == 1
    assert "results holds " in done.err
    assert "results/one/mini.json" in done.err


def test_the_worst_questions_with_the_figures_of_the_record(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = ran("inspect", A, "--top", "2")
    assert all(cells(line) <= 80 for line in done.out.splitlines())
    record = load_record(A, ranks=True)
    macro = record.scores["multilingual"].macro["map"].value
    assert f"one on mini: MAP {number(macro)} in the multilingual setting" in done.out
    assert "2 of 24 questions: the lowest MAP" in done.out
    assert "! mini is a small demonstration" in done.out
    first, second = question_views(record)[:2]
    for place, view in ((1, first), (2, second)):
        assert re.search(
            rf"{place}\. {view.question} \(.+\): MAP {re.escape(number(view.value))}, mean over 11", done.out
        )
        worst = view.queries[0]
        shown = done.out.partition(f"{place}. {view.question}")[2].partition("═")[0]
        for query in view.queries:
            assert re.search(rf"^ *{re.escape(number(query.value))}  {query.language} ", shown, re.MULTILINE)
        for one in worst.relevants:
            ranks = f"{rank_text(one.rank, one.tied)} +{rank_text(one.own_rank, one.own_tied)}"
            assert re.search(rf"^ *{ranks}  {one.language} +{re.escape(one.id)} ", shown, re.MULTILINE)
        for hit in worst.hits[:5]:
            pattern = rf"^ *{hit.place}  {kept_score(hit.score)}  {hit.language} .*{re.escape(hit.id)} "
            assert re.search(pattern, shown, re.MULTILINE)
        assert worst.hits[5].id not in shown.partition("best of the pool")[2]
    assert "paragraph: in the same paragraph as a relevant, does not count as one" in words(done.out)
    more = ran("inspect", A, "--question", second.question, "--above", "20", "--language", "zh").out
    assert "1 of 24 questions, as asked for" in more
    assert "asked in Chinese (zh)" in more
    assert re.search(r"^ *20=? +0\.\d{4}  ", more, re.MULTILINE)


def test_ranks_are_written_as_the_record_has_them() -> None:
    assert [rank_text(*both) for both in ((1.0, 1), (1203.0, 1), (11390.5, 4), (3.0, 5), (None, 0))] == [
        "1", "1,203", "11,390.5~", "3~", "–"
    ]  # fmt: skip


def test_by_loss_by_distance_by_pair_by_setting(records: Path) -> None:
    lost = ran("inspect", B, "--against", A, "--top", "1").out
    assert "the largest loss of MAP against one" in lost
    assert re.search(r": MAP \.\d{4}, one \.\d{4} \(-\.\d{4}\), mean over 11 query languages", words(lost))
    assert "the highest rank distance" in ran("inspect", A, "--by", "rank_distance", "--top", "1").out
    pair = ran("inspect", A, "--pair", "de>zh", "--top", "1").out
    figure = load_record(A).scores["cross-lingual"].by_language_pair["de>zh"]["map"].value
    assert f"MAP {number(figure)} in the cross-lingual setting, de>zh" in pair
    assert "in the pool" not in pair.partition("relevant sentences")[2].partition("best")[0]
    assert "in the monolingual setting" in ran("inspect", A, "--setting", "monolingual", "--top", "1").out
    assert "by lenient relevance" in ran("inspect", A, "--relevance", "lenient", "--top", "1").out


def test_the_page_stands_alone_and_runs_nothing(records: Path, tmp_path: Path) -> None:
    done = ran("inspect", A, "--top", "3", "--against", B, "--html", str(tmp_path / "page.html"))
    assert (done.out, done.err.startswith("page: ")) == ("", True)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert not re.search(r"<(script|img|link|iframe)|\bsrc=|\bhref=|url\(", text)
    assert len(page.findall(".//section")) == 3
    assert len(page.findall(".//details")) == 33
    record = load_record(A, ranks=True)
    in_arabic = [one for one in page.iter() if one.get("lang") == "ar"]
    assert in_arabic
    assert all(one.get("dir") == "auto" for one in in_arabic)
    assert not [one for one in page.iter() if one.get("lang") and one.tag != "html" and not one.get("dir")]
    told = words("".join(page.itertext()))
    questions = {one.question for one in question_views(record)}
    shown = [name for name in questions if f"question {name} " in told]
    assert len(shown) == 3
    for view in question_views(record, shown):
        for query in view.queries:
            assert f"MAP {number(query.value)}, two" in told
            for one in query.relevants:
                pooled, own = rank_text(one.rank, one.tied), rank_text(one.own_rank, one.own_tied)
                assert f"rank {pooled} in the pool, {own} in its language" in told
            for hit in query.hits:
                assert f"place {hit.place}, score {kept_score(hit.score)}" in told


def test_text_of_others_is_no_markup_and_steers_nothing(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS)
    bad = "<script>alert(1)</script> & \u202eevil\u2066 \x1b[31mred {0} %s"
    (tmp_path / "corpus.tsv").write_text(f"d1\t{bad}\nd2\tIt snows.\nd3\tRain.\nd4\tThe sun.\n", encoding="utf-8")
    (tmp_path / "topics.tsv").write_text(f"q1\train? {bad}\nq2\tsnow?\n", encoding="utf-8")
    ran("evaluate", "char-ngrams", "--task", str(file), "--quiet", "--name", "<b>& evil")
    (path,) = Path("results").rglob("weather.json")
    asked = ("inspect", str(path), "--task", str(file), "--top", "9")
    out = ran(*asked).out
    assert not set(out) & set("\u202e\u2066\x1b")
    assert "<script>alert(1)</script> & evil" in words(out)
    ran(*asked, "--html", "page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    assert not set(text) & set("\u202e\u2066\x1b")
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert "<script>alert(1)</script> & evil [31mred {0} %s" in words("".join(page.itertext()))
    assert "<b>& evil on weather" in "".join(page.itertext())
    assert not [*page.iter("script"), *page.iter("b")]


def test_values_as_csv(records: Path) -> None:
    done = ran("inspect", B, "--against", A, "--csv", "values.csv", "--language", "th")
    assert (done.out, done.err) == ("", "values: values.csv\n")
    with Path("values.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    mine, other = (load_record(path, ranks=True) for path in (B, A))
    assert len(rows) == 24
    assert {row["query_language"] for row in rows} == {"th"}
    for name, record in (("map", mine), ("ndcg@10", mine), ("map_against", other)):
        figure = record.scores["multilingual"].by_query_language["th"][name.removesuffix("_against")].value
        assert sum(float(row[name]) for row in rows) / 24 == pytest.approx(figure, abs=1e-12)
    frame = mine.query_frame(["map"], ["multilingual"])
    of_thai = frame[frame.query_language == "th"].set_index("question")["map"]
    assert {row["question"]: float(row["map"]) for row in rows} == of_thai.to_dict()


def test_without_the_texts_only_ids_that_were_asked_for(own_surroundings: None, tmp_path: Path) -> None:
    (submission,) = (BOARD / "char-ngrams").iterdir()
    record = str(shutil.copytree(submission, tmp_path / "copy") / "xquad-r.json")
    assert "best of the pool of 11 languages" in ran("inspect", record, "--ids", "--top", "1").out
    Path(record).with_suffix(".top.parquet").unlink()
    told = words(run("inspect", record).err)
    assert "the texts of xquad-r are not here found: missing: xquad-r/ar.json, xquad-r/de.json" in told
    assert "xqr-bench data fetch xquad-r; or name their folder: --data-dir; or show ids without texts: --ids" in told
    told = words(ran("inspect", record, "--ids", "--top", "1").out)
    assert "! ids only: without the texts of the task (--ids)" in told
    assert "! what stood above is not known: " in told
    assert "evaluate it again: xqr-bench evaluate char-ngrams --task xquad-r --overwrite" in told
    assert "best of the pool" not in told
    assert re.search(r"relevant ─+ [\d,]+ [\d,]+ [a-z]{2} [a-z]{2}:\d+:\d+:\d+ ", told)


def test_data_of_another_record_is_refused(records: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(records / "results" / "one", tmp_path / "one") / "mini.json"
    edit(copied, lambda data: data["task"]["files"].update(dict.fromkeys(data["task"]["files"], "0" * 64)))
    told = words(run("inspect", str(copied)).err)
    assert "these are not the texts that the record of one on mini was made from" in told
    assert "has the SHA-256" in told
    assert run("inspect", str(copied), "--ids").code == 0
    (copied.parent / "mini.top.parquet").unlink()
    assert "there is no file" in run("inspect", str(copied), "--ids").err


def test_a_part_of_a_task(tmp_path: Path) -> None:
    ran("evaluate", "char-ngrams", *PART, "--limit", "6")
    out = words(ran("inspect", "results/char-ngrams/mini.json", "--top", "1").out)
    assert "the record is of a part of the task (languages: ['de', 'en', 'th'], limit: 6)" in out
    assert "1 of 6 questions" in out


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("baseline", "bm25"), "bm25"),
        (("evaluate", "fuse:RRF", "bm25", "char-ngrams"), "RRF"),
        (("evaluate", "char-ngrams", "--index", "flat"), "char-ngrams"),
        (("evaluate", "char-ngrams", "--transform", "center"), "char-ngrams"),
    ],
)
def test_whatever_ranked(command: tuple[str, ...], name: str) -> None:
    ran(*command, *PART)
    (path,) = Path("results").rglob("mini.json")
    out = ran("inspect", str(path), "--top", "1").out
    hits = question_views(load_record(path, ranks=True))[0].queries[0].hits
    assert len(hits) == 20
    for hit in hits[:5]:
        assert re.search(
            rf"^ *{hit.place}{'=' if hit.tied else ''} +{kept_score(hit.score)}  {hit.language}", out, re.MULTILINE
        )


def test_of_two_stages_the_order_is_shown_without_scores() -> None:
    ran("evaluate", "bm25", "--rerank", "char-ngrams", *PART)
    (path,) = map(str, Path("results").rglob("mini.json"))
    told = words(ran("inspect", path, "--top", "1").out)
    assert "of the scores of two stages only the order is kept" in told
    assert re.search(r"place lang id best of the pool of 3 languages ─+ 1 [a-z]{2} ", told)
    ran("inspect", path, "--top", "1", "--html", "page.html")
    assert "place 1" in (page := Path("page.html").read_text(encoding="utf-8"))
    assert ", score " not in page


def test_what_ties_is_told() -> None:
    ran("evaluate", "bm25", *PART)
    (path,) = map(str, Path("results").rglob("mini.json"))
    out = ran("inspect", path, "--top", "9", "--above", "20").out
    hits = [hit for view in question_views(load_record(path, ranks=True))[:9] for hit in view.queries[0].hits]
    tied = sum(hit.tied for hit in hits)
    assert tied == len(re.findall(r"^ *\d+=  ", out, re.MULTILINE)) > 0
    assert "= the same score as the one before" in out


def test_a_run_with_lists_of_each_language(tmp_path: Path) -> None:
    ran("evaluate", "char-ngrams", *PART, "--trec-run", "runs", "--trec-depth", "30")
    ran("evaluate", "run:runs", *PART, "--metrics", "map,recall@10,rank_distance")
    path = "results/runs/mini.json"
    assert "best of the pool of 3 languages" in ran("inspect", path, "--top", "1").out
    told = words(ran("inspect", path, "--top", "1", "--setting", "cross-lingual").out)
    assert "in the cross-lingual setting each language has a ranking of its own" in told
    assert "cut" in words(run("inspect", path, "--by", "rank_distance").err)
    out = ran("inspect", path, "--top", "1").out
    assert re.search(r"^ +– +\d+  [a-z]{2} ", out, re.MULTILINE), "a relevant below the cut has no rank in the pool"


def test_languages_ranked_in_groups(tmp_path: Path) -> None:
    file = write_parts(tmp_path)
    ran("evaluate", "char-ngrams", "--task", str(file), "--quiet")
    told = words(ran("inspect", "results/char-ngrams/pairs.json", "--task", str(file), "--top", "1").out)
    assert "what stood above is not known: each group of languages was ranked by itself" in told
    assert "evaluate it again" not in told
    assert "name its file: --task FILE" in words(run("inspect", "results/char-ngrams/pairs.json").err)


def test_questions_in_languages_without_candidates(tmp_path: Path) -> None:
    file = write_afriqa(tmp_path)
    ran("evaluate", "char-ngrams", "--task", str(file), "--quiet")
    path = "results/char-ngrams/african.json"
    record = load_record(path, ranks=True)
    views = question_views(record)
    assert [len(view.queries) for view in views] == [1] * record.task.n_questions, "each is in one language"
    out = words(ran("inspect", path, "--task", str(file)).out)
    assert "asked in Swahili (sw)" in out
    assert "5 of 5 questions" in out
    assert "mean over" not in out
    assert re.search(r"relevant ─+ [\d~]+ [\d~]+ fr \S+ Une rivière coule\.", out)
    pair = ran("inspect", path, "--task", str(file), "--pair", "ha>en", "--top", "1").out
    figure = record.scores["cross-lingual"].by_language_pair["ha>en"]["map"].value
    assert f"MAP {number(figure)} in the cross-lingual setting, ha>en" in pair


def test_graded_and_judged(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS, relevance='["judged"]', relevant_from="2")
    ran("evaluate", "char-ngrams", "--task", str(file), "--quiet")
    path = "results/char-ngrams/weather.json"
    out = ran("inspect", path, "--task", str(file), "--question", "q1").out
    assert re.search(r"^ +\d+ +3  en ", out, re.MULTILINE)
    assert re.search(r"^ +\d+ +1 \(too low\)  en ", out, re.MULTILINE)
    assert "judged: was judged, and found not relevant" in out
    judged = ran("inspect", path, "--task", str(file), "--question", "q1", "--relevance", "judged").out
    assert "It snows" in out
    assert "It snows" not in judged, "nobody judged d2 for q1"
    assert "graded" not in run("inspect", path, "--task", str(file), "--relevance", "lenient").out
    assert "no lenient relevance" in run("inspect", path, "--task", str(file), "--relevance", "lenient").err


def test_very_many_languages(tmp_path: Path) -> None:
    make_files(tmp_path, 34, 8, 4)
    task = ("--task", str(tmp_path / "many.toml"))
    ran("evaluate", f"precomputed:{tmp_path / 'vectors'}", *task, "--no-cache", "--quiet")
    record = load_record("results/vectors/many.json", ranks=True)
    view = question_views(record)[0]
    assert len(view.queries) == 34
    out = ran("inspect", "results/vectors/many.json", *task, "--top", "1").out
    assert f"MAP {number(view.value)}, mean over 34 query languages" in out
    assert "and in 22 more languages, with a better value" in out
    assert "and 22 more, the last at rank" in out
    figure = record.scores["multilingual"].macro["map"].value
    views = question_views(record)
    assert sum(one.value for one in views) / len(views) == pytest.approx(figure, abs=1e-12)
    ran("inspect", "results/vectors/many.json", *task, "--top", "2", "--html", "page.html")
    assert Path("page.html").read_text(encoding="utf-8").count("<details") == 24
    ran("inspect", "results/vectors/many.json", "--csv", "values.csv", "--setting", "cross-lingual")
    with Path("values.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == 1 + 34 * 33 * 8


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (("--pair", "dezh"), "write it as 'de>zh'"),
        (("--pair", "de>zh", "--language", "de"), "--pair and --language exclude each other"),
        (("--above", "21"), "--above is 21 to do: give 0 to 20"),
        (("--against", A), "both records have the same ranks"),
        (("--top", "0"), "use a number from 1 on"),
        (("--by", "rank_variance"), "neither a high nor a low rank_variance is a failure"),
        (("--relevance", "paragraph"), "paragraph relevance do not tell which sentences"),
        (("--question", "mini-99"), "there is no question named 'mini-99' found: closest: mini-"),
        (("--setting", "multi"), "there is no setting of this record named 'multi'"),
        (("--language", "xx"), "there is no query language named 'xx'"),
    ],
)
def test_what_cannot_be_meant(records: Path, more: tuple[str, ...], problem: str) -> None:
    done = run("inspect", A, *more)
    assert (done.code, done.out) == (1, "")
    assert problem in words(done.err)


def test_right_to_left_text_stays_in_its_cell_of_a_terminal(records: Path) -> None:
    plain = ran("inspect", A, "--top", "1").out
    with patch("xqr_bench.cli.inspect.sys") as stream:
        stream.stdout.isatty.return_value = True
        marked = ran("inspect", A, "--top", "1").out
    assert "\u2067" not in plain
    lines = [line for line in marked.splitlines() if "\u2067" in line]
    assert lines
    assert all(line.endswith("\u2069") for line in lines), "nothing stands behind it that could be moved"
    assert re.sub("[\u2066\u2067\u2069]", "", marked) == plain
