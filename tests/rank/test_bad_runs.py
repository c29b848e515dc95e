"""What can be wrong with a run: one clear message each."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.rank.small import line, scores, task, whole, write_run
from xqr_bench.core.errors import RunError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL
from xqr_bench.evaluation.runs import RunReader, SettingCounts
from xqr_bench.measure.peers import PytrecEval
from xqr_bench.rank.runs import read_chunks, run_files, task_lists

DATA = task()
VALUES = scores(DATA)
GOOD = "".join(whole(DATA, VALUES))


def read(path: Path, setting: str = MULTILINGUAL) -> SettingCounts:
    return RunReader(path, DATA, task_lists(DATA, setting), PytrecEval(["map", "recall@3"])).read()


def message(folder: Path, text: str | bytes, setting: str = MULTILINGUAL, *, packed: bool = False) -> str:
    path = write_run(folder, text, setting, packed=packed)
    with pytest.raises(RunError) as caught:
        read(path, setting)
    return str(caught.value).replace(str(folder), "DIR")


BAD_LINES = {
    "de:q9 Q0 de:0:0:0 1 1.0 t": "DIR/small/multilingual.run:3: small has no list 'de:q9' in the multilingual setting\n"
    "  found: lists are called like 'de:q0'",
    "de:q0 Q0 xx:0:0:0 1 1.0 t": "DIR/small/multilingual.run:3: small has no candidate 'xx:0:0:0'\n"
    "  found: candidates are called like 'de:0:0:0'",
    "de:q0 Q0 de:0:0:2 1 nan t": "DIR/small/multilingual.run:3: the score nan is not a finite 32-bit number\n"
    "  found: de:q0 Q0 de:0:0:2 1 nan t",
    "de:q0 Q0 de:0:0:2 1 -inf t": "DIR/small/multilingual.run:3: the score -inf is not a finite 32-bit number",
    "de:q0 Q0 de:0:0:2 1 1e39 t": "DIR/small/multilingual.run:3: the score 1e39 is not a finite 32-bit number",
    "de:q0 Q0 de:0:0:2 1 high t": "DIR/small/multilingual.run:3: the score 'high' is not a number",
    "de:q0 Q0 de:0:0:2 1 1_0 t": "DIR/small/multilingual.run:3: the score '1_0' is not a number",
    "de:q0 de:0:0:2 1 1.0 t": "DIR/small/multilingual.run:3: the line has 5 columns instead of 6",
    "de:q0 Q0 de:0:0:2 1 1.0 my tag": "DIR/small/multilingual.run:3: the line has 7 columns instead of 6",
    "de:q0 Q0 de:0:0:0 2 0.5 t": "DIR/small/multilingual.run: the list 'de:q0' holds the document 'de:0:0:0' twice\n"
    "  to do: keep its best line",
}


@pytest.mark.parametrize("bad", BAD_LINES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_bad_line(tmp_path: Path, bad: str, packed: bool) -> None:
    text = line("de:q0", "de:0:0:0") + "\n" + bad + "\n" + line("de:q1", "de:0:0:1")
    expected = BAD_LINES[bad].replace(".run", ".run.gz") if packed else BAD_LINES[bad]
    assert message(tmp_path, text, packed=packed).startswith(expected)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    assert "multilingual.run:1: the line is not UTF-8" in message(tmp_path, b"de:q0 Q0 \xff\xfe 1 1 t\n")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    assert message(tmp_path, text).startswith("DIR/small/multilingual.run is empty\n  to do: write the ranking into it")


def test_a_gzip_file_that_breaks_off(tmp_path: Path) -> None:
    path = write_run(tmp_path, gzip.compress(GOOD.encode())[:-200]).rename(tmp_path / "cut.run.gz")
    with pytest.raises(RunError, match=r"cut.run.gz cannot be read: .*\n.*must be a gzip file, whole"):
        read(path)


def test_a_plain_file_called_gz(tmp_path: Path) -> None:
    path = write_run(tmp_path, GOOD).rename(tmp_path / "plain.run.gz")
    with pytest.raises(RunError, match=r"plain.run.gz cannot be read: Not a gzipped file"):
        read(path)


def test_lines_of_a_query_that_do_not_stand_together(tmp_path: Path) -> None:
    text = line("de:q0", "de:0:0:0") + line("de:q1", "de:0:0:0") + line("de:q0", "de:0:0:1")
    assert message(tmp_path, text) == (
        "DIR/small/multilingual.run: the lines of 'de:q0' do not stand together\n"
        "  to do: sort the file by query: sort -s -k1,1"
    )


@pytest.mark.parametrize(
    ("setting", "query", "document", "language"),
    [(MONOLINGUAL, "de:q0", "en:0:0:0", "de"), (CROSS_LINGUAL, "de:q0>en", "de:0:0:0", "en")],
)
def test_a_candidate_outside_the_pool(tmp_path: Path, setting: str, query: str, document: str, language: str) -> None:
    assert message(tmp_path, line(query, document), setting).startswith(
        f"DIR/small/{setting}.run: the list {query!r} ranks the candidate {document!r}, which is outside its pool\n"
        f"  found: the candidates of the list are in {language}"
    )


@pytest.mark.parametrize("query", ["de:q0", "de:q0>de", "de:q0>fr", "de:q9>en", ">en"])
def test_no_cross_lingual_list(tmp_path: Path, query: str) -> None:
    assert f"has no list {query!r} in the cross-lingual setting" in message(
        tmp_path, line(query, "en:0:0:0"), CROSS_LINGUAL
    )


def test_lists_without_a_relevant_are_left_aside(tmp_path: Path) -> None:
    text = line("en:q1>th", "th:0:0:0") + line("en:q1>de", "de:0:0:1")
    counts = read(write_run(tmp_path, text, CROSS_LINGUAL), CROSS_LINGUAL)
    assert (len(counts.unjudged), counts.missing, counts.lengths.sum()) == (1, len(counts.lists) - 1, 1)


def test_blanks_tabs_line_ends_and_no_last_line_end(tmp_path: Path) -> None:
    expected = read(write_run(tmp_path / "a", GOOD))
    untidy = GOOD.replace(" Q0 ", "\tQ0  ").replace(" tag\n", " tag \r\n").replace("de:q1", " de:q1").rstrip()
    for text in (untidy, GOOD.rstrip("\n"), "\n" + GOOD.replace("\n", "\n\n")):
        found = read(write_run(tmp_path / "b", text))
        for name in ("gt", "eq", "lengths", "theirs"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_the_rank_column_and_the_order_of_lines_do_not_matter(tmp_path: Path) -> None:
    rows = whole(DATA, VALUES)
    width = len(DATA.candidates)
    backwards = "".join(line for start in range(0, len(rows), width) for line in rows[start : start + width][::-1])
    expected, found = read(write_run(tmp_path / "a", GOOD)), read(write_run(tmp_path / "b", backwards))
    np.testing.assert_array_equal(found.gt, expected.gt)


@pytest.mark.parametrize("size", [1, 37, 1000, 4096])
def test_any_size_of_chunk(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_run(tmp_path, GOOD)
    expected = read(path)
    monkeypatch.setattr("xqr_bench.evaluation.runs.read_chunks", lambda path: read_chunks(path, chunk_bytes=size))
    found = read(path)
    for name in ("gt", "eq", "lengths", "theirs"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_line_numbers_count_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.evaluation.runs.read_chunks", lambda path: read_chunks(path, chunk_bytes=100))
    text = GOOD + "\n" + line("de:q0", "nothing")
    assert f"multilingual.run:{GOOD.count(chr(10)) + 2}: small has no candidate 'nothing'" in message(tmp_path, text)


def test_scores_are_read_as_trec_eval_reads_them(tmp_path: Path) -> None:
    text = line("de:q0", "de:0:0:0", "1.00000001") + line("de:q0", "en:0:0:0", "1.00000000")
    counts = read(write_run(tmp_path, text))
    assert counts.merged == 1
    assert counts.gt[:2].sum() == 0
    assert counts.eq[:2].sum(axis=1).tolist() == [2, 2]


def test_which_files_are_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no run of small in .*\n  found: no folder"):
        run_files(tmp_path / "nowhere", "small")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "run.txt").touch()
    with pytest.raises(RunError, match=r"holds: run.txt\n  to do: the layout is DIR/<task>/<setting>.run or .run.gz"):
        run_files(tmp_path, "small")
    plain = write_run(tmp_path, GOOD)
    assert run_files(tmp_path, "small") == {MULTILINGUAL: plain}
    write_run(tmp_path, GOOD, packed=True)
    with pytest.raises(RunError, match=r"the multilingual setting of small has two runs"):
        run_files(tmp_path, "small")
