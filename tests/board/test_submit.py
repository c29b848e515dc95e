"""Submitting: what is written, and every bad submission refused with nothing changed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.board.conftest import edit_ranks, score
from tests.kit import Seen, contents, edit, every_kill, read_json
from xqr_bench import load_record
from xqr_bench.board.asked import Rerun, Submission, Witness
from xqr_bench.board.files import MAX_RECORD, local_paths, max_ranks, publishable, version_of
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import attestation_of, submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.core.files import waiting_place
from xqr_bench.record import Record, ranks_digest, save_record


def test_it_writes_record_and_ranks(saved: Path, board: Path) -> None:
    done = submit(saved, board)
    assert done.record == board / "char-ngrams" / "1" / "mini.json"
    assert sorted(contents(board)) == [
        f"char-ngrams/1/mini.{end}"
        for end in ("json", "lenient.parquet", "paragraph.parquet", "ranks.parquet", "top.parquet")
    ]
    there, before = load_record(done.record, ranks=True), load_record(saved, ranks=True)
    assert there.short
    assert there.ranks_file.digest == ranks_digest(before.ranks.pooled()) == ranks_digest(there.ranks)
    assert there.scores == before.scores
    assert done.commands == [
        "git switch -c submit-char-ngrams-mini",
        f"git add {done.record} {done.ranks} {done.record.with_suffix('.lenient.parquet')} "
        f"{done.record.with_suffix('.paragraph.parquet')} {done.record.with_suffix('.top.parquet')}",
        "git commit -m 'Submit char-ngrams on mini'",
        "git push -u origin submit-char-ngrams-mini",
    ]


def test_no_local_path_is_published(saved: Path, board: Path) -> None:
    arguments = {
        "model": "precomputed:/home/me/vectors/mine",
        "data_dir": "~/data",
        "output": "/home/me/results",
        "query_prompt": "/query: ",
        "tasks": ["../secret/mini.toml", "C:\\Users\\me\\x.toml", "xquad-r"],
        "name": "org/name",
    }
    edit(saved, lambda data: data["provenance"].update(arguments=arguments))
    edit(saved, lambda data: data["model"]["identity"].update(kind="precomputed", name="mine", query_prompt="/query: "))
    edit(saved, lambda data: data["provenance"]["settings"].update(data_dir="/mnt/data"))
    edit(
        saved,
        lambda data: data.update(warnings=["see '/home/me/run 1.log' and /home/me/log.txt, 3/4 of https://x/y/z"]),
    )
    before = load_record(saved)
    published = load_record(submit(saved, board).record)
    assert published.provenance.arguments == {
        "model": "precomputed:mine",
        "data_dir": "data",
        "query_prompt": "/query: ",
        "tasks": ["mini.toml", "x.toml", "xquad-r"],
        "name": "org/name",
    }
    assert published.provenance.settings["data_dir"] == "data"
    assert published.warnings == ["see 'run 1.log' and log.txt, 3/4 of https://x/y/z"]
    assert published.model_dump(include={"model", "scores"}) == before.model_dump(include={"model", "scores"})


@pytest.mark.parametrize(
    ("argument", "warning"),
    [
        ("/data/~me/C:run", "see run"),
        ("/data/run:/home/me/x", "see /data/C:/Users/me"),
        ("precomputed:/data/C:D:run", "see /data/~//me/x"),
        ("~", "see ~/a/b/"),
        ("C:..", "/a/b:/c/d, 'C:/a/D:/b/'"),
    ],
)
def test_what_is_published_is_publishable(argument: str, warning: str, record: Record) -> None:
    given = record.provenance.model_copy(update={"arguments": {"data_dir": argument}})
    once = publishable(record.model_copy(update={"provenance": given, "warnings": [warning]}))
    assert not local_paths(once)


SAME_NAME = """
from tests.board.conftest import Noisy

class SameName(Noisy):
    name = "char-ngrams"
    revision = "1"
"""


@pytest.mark.parametrize("attested", [pytest.param("old", marks=pytest.mark.slow), "new"])
def test_a_submission_is_replaced_whole_or_not_at_all(saved: Path, board: Path, tmp_path: Path, attested: str) -> None:
    """Killed at any point, the board holds the old submission or the new one, with its attestation, and no fault."""
    (tmp_path / "same_name.py").write_text(SAME_NAME, encoding="utf-8")
    model = f"{tmp_path}/same_name.py:SameName"
    new = save_record(score(model), tmp_path / "new" / "mini.json")
    if attested == "old":
        reproduce(saved, witness=Witness(by="the lab"))
    else:
        reproduce(new, again=Rerun(model=model), witness=Witness(by="the lab"))
    submit(saved, tmp_path / "before")
    done = submit(saved, tmp_path / "after")
    submit(new, tmp_path / "after", Submission(replace=True))
    place, whole = done.record.relative_to(tmp_path / "after"), []

    def begin() -> None:
        shutil.rmtree(board, ignore_errors=True)
        shutil.copytree(tmp_path / "before", board)

    for n in every_kill(board, begin, lambda: submit(new, board, Submission(replace=True))):
        assert verify(board, Seen()).faults == []
        there = load_record(board / place, ranks=True)
        is_new = there.model.identity.kind != "builtin"
        assert (attestation_of(board / place, there) is not None) == (is_new == (attested == "new"))
        whole.append(is_new)
        if n % 4 == 0:
            submit(new, board, Submission(replace=True))
            assert contents(board) == contents(tmp_path / "after")
    assert whole == sorted(whole)
    assert set(whole) == {False, True}


def test_what_a_killed_run_left_is_no_fault(saved: Path, board: Path) -> None:
    place = submit(saved, board).record
    left = place.with_name(".mini.json.0a1b2c-1234-abcdefgh.tmp")
    left.write_text("half")
    seen = Seen()
    assert verify(board, seen).faults == []
    assert "char-ngrams/1/.mini.json.0a1b2c-1234-abcdefgh.tmp: left behind" in seen.notes[0]


@pytest.mark.parametrize("garbage", [b"MZ evil", None])
def test_ranks_that_wait_are_put_in_their_place(saved: Path, board: Path, garbage: bytes | None) -> None:
    """A run was stopped before it brought the ranks into their place, or somebody put something else there."""
    record = submit(saved, board).record
    ranks = record.with_suffix(".ranks.parquet")
    whole = ranks.read_bytes()
    ranks.rename(waiting_place(ranks, load_record(record).ranks_file.digest))
    if garbage is not None:
        ranks.write_bytes(garbage)
    seen = Seen()
    assert verify(board, seen).faults == []
    assert any("what belongs to a record is put in its place" in note for note in seen.notes)
    assert ranks.read_bytes() == whole
    assert not list(ranks.parent.glob(".*"))


@pytest.mark.parametrize(
    "name", [".setup.exe.tmp", ".page.html.new", ".setup.exe.0123456789ab.new", ".hooks.0a1b2c-1234-abcdefgh.tmp"]
)
def test_what_no_run_leaves_is_a_fault(saved: Path, board: Path, name: str) -> None:
    submit(saved, board).record.with_name(name).write_text("anything")
    assert [fault.text for fault in verify(board).faults] == ["not part of a submission"]


def test_killed_while_a_rule_of_relevance_goes(saved: Path, board: Path, tmp_path: Path) -> None:
    """Of a submission with fewer rules than that of before nothing of the old one stays in its place."""
    submit(saved, tmp_path / "before")
    fewer = load_record(saved, ranks=True).model_copy(update={"relevance": {}})
    new = save_record(fewer, tmp_path / "new" / "mini.json")

    def begin() -> None:
        shutil.rmtree(board, ignore_errors=True)
        shutil.copytree(tmp_path / "before", board)

    rules = []
    for _ in every_kill(board, begin, lambda: submit(new, board, Submission(replace=True))):
        assert verify(board, Seen()).faults == []
        rules.append(len(load_record(next(board.glob("*/*/mini.json")), whole=False).relevance))
    assert sorted(set(rules)) == [0, 2]
    assert sorted(path.name for path in board.glob("*/*/*")) == ["mini.json", "mini.ranks.parquet", "mini.top.parquet"]


@pytest.mark.parametrize("text", ["[]", "null", '{"exposure": {"level": "none declared", "declared_by": "nobody"}}'])
def test_a_damaged_submission_is_replaced(saved: Path, board: Path, text: str) -> None:
    place = submit(saved, board).record
    place.write_text(text)
    with pytest.raises(RecordError, match="cannot be read"):
        submit(saved, board, Submission(replace=True))
    submit(saved, board, Submission(replace=True, exposure="none declared"))
    assert verify(board).faults == []


def test_a_second_submission_needs_replace(saved: Path, board: Path) -> None:
    submit(saved, board)
    before = contents(board)
    with pytest.raises(RecordError, match="is on the leaderboard for mini already") as error:
        submit(saved, board)
    assert "--replace" in str(error.value)
    assert contents(board) == before
    assert submit(saved, board, Submission(replace=True)).replaced
    assert contents(board) == before


def test_versions_have_folders_of_their_own(record: Record, tmp_path: Path, board: Path) -> None:
    def place(**changes: object) -> str:
        identity = record.model.identity.model_copy(update=changes)
        model = record.model.model_copy(update={"identity": identity, "name": "org/some model"})
        path = save_record(record.model_copy(update={"model": model}), tmp_path / "mini.json")
        stands = submit(path, board).record.relative_to(board).as_posix()
        shutil.rmtree(board)  # one model's ranks stand on a board once
        return stands

    assert place(revision="refs/pr/1") == "org__some_model/refs__pr__1/mini.json"
    assert place(revision=None, digest="0123456789abcdef" * 4) == "org__some_model/0123456789ab/mini.json"
    unknown = place(revision=None, digest=None)
    assert len(unknown.split("/")[1]) == 12
    # trained and scored in one process: there is no file to digest
    identity = record.model.identity.model_copy(update={"revision": None, "digest": None})
    model = record.model.model_copy(update={"identity": identity})
    trained = record.model_copy(update={"model": model, "training": {"weights_digest": "fedcba9876543210"}})
    assert version_of(trained) == "fedcba987654"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil", "could lead out"),
        ("../../etc/passwd", "could lead out"),
        ("org/..", "could lead out"),
        ("a/b/c", "could lead out"),
        ("..\\evil", "could lead out"),
        ("/etc", "could lead out"),
        ("", "could lead out"),
        ("x" * 200, "is too long"),
        ("evil\x1b[31m", "cannot be seen"),
        ("abc\u202ecba", "cannot be seen"),
        ("bm25\ufe0f", "cannot be seen"),  # a selector of variants
        ("bm25\U000e0100", "cannot be seen"),
        ("bm\u316425", "cannot be seen"),  # a filler
        ("bm\u280025", "cannot be seen"),  # the empty Braille pattern
        ("bm\U00016fe425", "cannot be seen"),  # a filler
        ("bm\U0001d15925", "cannot be seen"),  # the empty note
        ("bm\ufffc25", "cannot be seen"),  # what stands for an object
        ("my\xa0model", "cannot be seen"),
        ("my\u3000model", "cannot be seen"),
        ("bm25.", "begins or ends with"),
        ("bm25 ", "begins or ends with"),
        (" bm25", "begins or ends with"),
        ("lab/.hidden", "begins or ends with"),
        ("-rf", "begins with a hyphen"),
        ("CON", "a device's on Windows"),
        ("nul.txt", "a device's on Windows"),
        ("COM\N{SUPERSCRIPT ONE}", "a device's on Windows"),
        ("Published", "kept for what else stands"),
        ("README.md", "kept for what else stands"),
        ("Schema.JSON", "kept for what else stands"),
        ("studies", "kept for what else stands"),
    ],
)
def test_names_that_are_refused(saved: Path, board: Path, name: str, message: str) -> None:
    edit(saved, lambda data: data["model"].update(name=name))
    with pytest.raises(RecordError, match=message):
        submit(saved, board)
    assert not board.exists()


@pytest.mark.parametrize(
    "name", ["\u6a21\u578b\u7532", "\u043c\u043e\u0434\u0435\u043b\u044c", "lab/e5-base-v2", "my model"]
)
def test_names_in_any_script(saved: Path, board: Path, name: str) -> None:
    edit(saved, lambda data: data["model"].update(name=name))
    submit(saved, board)
    assert verify(board).faults == []


def test_odd_names_stay_below_the_folder(saved: Path, board: Path) -> None:
    edit(saved, lambda data: data["model"].update(name="<script>alert(1)</script>".replace("/", "")))
    assert submit(saved, board).record.parent.parent.name == "_script_alert_1__script_"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a/b", "a__b", "its folder belongs to another model"),
        ("bm25", "BM25", "cannot be told apart"),
        ("bm25", "\uff42\uff4d\uff12\uff15", "cannot be told apart"),  # full width
        ("bm25", "\u042c\u041c25", "cannot be told apart"),  # Cyrillic
        ("oracle", "\u043eracle", "cannot be told apart"),
        ("oracle", "0racle", "cannot be told apart"),
        ("GPT-AI", "GPT-Al", "cannot be told apart"),
        ("my model", "my  model", "cannot be told apart"),
        ("caf\xe9", "cafe\u0301", "cannot be told apart"),
        ("\u6a21\u578b\u7532", "\u6a21\u578b\u4e59", "its ranks are those of"),  # other names, the same ranks
        ("model", "\u043c\u043e\u0434\u0435\u043b\u044c", "its ranks are those of"),
    ],
)
def test_names_that_clash(saved: Path, board: Path, first: str, second: str, message: str) -> None:
    edit(saved, lambda data: data["model"].update(name=first))
    submit(saved, board)
    edit(saved, lambda data: data["model"].update(name=second))
    edit(saved, lambda data: data["model"]["identity"].update(revision="other"))
    with pytest.raises(RecordError, match=message):
        submit(saved, board)


def test_a_name_like_that_of_a_paper(saved: Path, board: Path) -> None:
    (board / "published").mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "leaderboard/published/roy-2020.json", board / "published")
    edit(board / "published/roy-2020.json", lambda data: [row.update(task="mini") for row in data["rows"][:1]])
    edit(saved, lambda data: data["model"].update(name="m\u0412ERT"))
    with pytest.raises(RecordError, match="cannot be told apart"):
        submit(saved, board)
    edit(saved, lambda data: data["model"].update(name="mBERT"))
    placed = submit(saved, board).record
    # a paper that comes later: both are refused, and neither is shown
    edit(board / "published/roy-2020.json", lambda data: data["rows"][0].update(model="m\u0412ERT"))
    both = {placed.relative_to(board).as_posix(), "published/roy-2020/m\u0412ERT/en-en/mini"}
    assert {fault.path for fault in verify(board).faults} == both
    shown = read_leaderboard(board, test=False)
    assert {one.path for one in shown.refused} == both
    assert (shown.rows, shown.published) == ([], [])


def _drop_language(data: dict) -> None:
    data["task"]["languages"].remove("th")
    data["task"]["counts"].pop("th")


BAD = {
    "newer schema": (lambda data: data.update(schema_version=3), "has the schema version 3"),
    "no schema": (lambda data: data.pop("schema_version"), "no schema_version"),
    "unknown key": (lambda data: data.update(extra=1), "does not follow the record schema: extra"),
    "edited score": (
        lambda data: data["scores"]["multilingual"]["map"].update(value=0.9),
        "do not follow from the ranks: scores.multilingual.map.value",
    ),
    "edited interval": (
        lambda data: data["scores"]["multilingual"]["map"]["interval"].update(low=0.0),
        "do not follow from the ranks: scores.multilingual.map.interval.low",
    ),
    "extra score": (
        lambda data: data["scores"]["multilingual"].update(mine={"value": 1.0, "n": 1}),
        "do not follow from the ranks: scores.multilingual.mine",
    ),
    "missing language": (_drop_language, "does not have the languages of mini.*\n.*th missing"),
    "partial": (lambda data: data["task"].update(partial={"limit": 5}), "covers only a part of mini"),
    "demonstration": (lambda data: data["task"].update(demonstration=True), "is a demonstration"),
    "unknown task": (lambda data: data["task"].update(name="other"), "no task of the leaderboard named 'other'"),
    "other data": (
        lambda data: data["task"]["files"].update({"en.json": "0" * 64}),
        "made from other data.*\n.*another digest of en.json",
    ),
    "counts": (lambda data: data["task"]["counts"]["en"].update(queries=10**12), "counts per language are not those"),
    "questions": (lambda data: data["task"].update(n_questions=7), "number of questions of the record"),
    "groups": (lambda data: data["task"]["groups"].clear(), "language groups of the record"),
    "settings": (lambda data: data["task"]["settings"].pop(), "does not have the settings of mini"),
    "no map": (lambda data: data["task"]["metrics"].remove("map"), "must have map"),
    "unknown metric": (lambda data: data["task"]["metrics"].append("bliss"), "no metric named 'bliss'"),
    "many metrics": (
        lambda data: data["task"].update(metrics=[f"recall@{k}" for k in range(1, 10_000)] + ["map"]),
        "at most 64 metrics",
    ),
    "claimed counts": (lambda data: data["ranks_file"].update(n_relevants=10**12), "does not hold all ranks"),
    "claimed depth": (lambda data: data["ranks_file"].update(depth=10), "only runs and indices"),
    "absolute ranks": (lambda data: data["ranks_file"].update(file="/etc/passwd"), "names no ranks file beside it"),
    "ranks above": (lambda data: data["ranks_file"].update(file="../mini.ranks.parquet"), "names no ranks file beside"),
    "ranks dots": (lambda data: data["ranks_file"].update(file=".."), "names no ranks file beside"),
    "no ranks": (lambda data: data["ranks_file"].update(file=None), "names no ranks file beside"),
    "other digest": (lambda data: data["ranks_file"].update(digest="0" * 64), "are not those of the record"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_records(name: str, saved: Path, board: Path) -> None:
    change, message = BAD[name]
    edit(saved, change)
    with pytest.raises(XqrBenchError, match=message):
        submit(saved, board)
    assert not board.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ("[" * 100_000, "nested more than 64 levels"),
        ("[" * 100 + "]" * 100, "nested more than 64 levels"),
        ('{"a":' * 70 + "1" + "}" * 70, "nested more than 64 levels"),
        ("{", "is not a record"),
        ("\x00", "is not a record"),
    ],
)
def test_bad_json(saved: Path, board: Path, text: str, message: str) -> None:
    saved.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        submit(saved, board)
    assert not board.exists()


def test_huge_files_are_refused_unread(saved: Path, board: Path) -> None:
    ranks = saved.with_suffix(".ranks.parquet")
    os.truncate(ranks, 10 * 2**30)  # sparse: takes no space
    with pytest.raises(RecordError, match="is too large for a submission") as error:
        submit(saved, board)
    assert f"10,737,418,240 bytes; at most {max_ranks('mini'):,}" in str(error.value)
    os.truncate(saved, MAX_RECORD + 1)
    with pytest.raises(RecordError, match=r"mini\.json is too large"):
        submit(saved, board)
    assert not board.exists()
    assert max_ranks("xquad-r") == 3 * 2**20


def test_links_are_not_followed(saved: Path, board: Path, tmp_path: Path) -> None:
    ranks = saved.with_suffix(".ranks.parquet")
    elsewhere = tmp_path / "elsewhere.parquet"
    ranks.rename(elsewhere)
    ranks.symlink_to(elsewhere)
    with pytest.raises(RecordError, match=r"mini\.ranks\.parquet is a symbolic link"):
        submit(saved, board)
    link = tmp_path / "link.json"
    link.symlink_to(saved)
    with pytest.raises(RecordError, match=r"link\.json is a symbolic link"):
        submit(link, board)
    assert not board.exists()


def test_a_link_in_the_board_leads_nowhere(saved: Path, board: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    board.mkdir()
    (board / "char-ngrams").symlink_to(outside)
    with pytest.raises(RecordError, match="is a symbolic link"):
        submit(saved, board)
    assert not list(outside.iterdir())


def test_missing_files(saved: Path, board: Path) -> None:
    with pytest.raises(RecordError, match="there is no file"):
        submit(saved.with_name("nothing.json"), board)
    saved.with_suffix(".ranks.parquet").unlink()
    with pytest.raises(RecordError, match="there is no file"):
        submit(saved, board)


def _ranks_of_less(saved: Path) -> None:
    less = score("char-ngrams", limit=20)
    save_record(less, saved)
    edit(saved, lambda data: data["task"].update(partial={}))


def test_ranks_of_a_part(saved: Path, board: Path) -> None:
    whole = read_json(saved)
    _ranks_of_less(saved)
    edit(saved, lambda data: data.update({name: whole[name] for name in ("task", "diagnostics", "provenance")}))
    with pytest.raises(RecordError, match="does not hold all ranks of mini"):
        submit(saved, board)


BAD_RANKS = {
    "another task": (lambda ranks: replace(ranks, task="xquad-r"), "are not ranks of mini.*\n.*ranks of xquad-r"),
    "other pools": (lambda ranks: replace(ranks, column_sizes=ranks.column_sizes + 1), "pools of these ranks"),
    "other relevants": (
        lambda ranks: replace(ranks, relevant_ids=["en:9:9:9", *ranks.relevant_ids[1:]]),
        "queries, relevants, gains or articles",
    ),
    "other gains": (lambda ranks: replace(ranks, gains=ranks.gains * 2), "queries, relevants, gains or articles"),
    "lists of their own": (
        lambda ranks: replace(ranks, own_gt=np.zeros_like(ranks.gt[:, 0]), own_eq=np.ones_like(ranks.gt[:, 0])),
        "lists of their own for single languages",
    ),
    "negative": (lambda ranks: ranks.gt.__setitem__((0, 0), -1), "a count is negative"),
    "too large": (lambda ranks: ranks.gt.__setitem__((0, 0), 10**6), "counts exceed the pool"),
    "not itself": (lambda ranks: ranks.eq.__setitem__((0, slice(None)), 0), "does not tie with itself"),
    "all first": (lambda ranks: ranks.gt.__setitem__(slice(None), 0), "a relevant that stands first ties with others"),
    "all first, tops untold": (
        lambda ranks: replace(ranks, gt=np.zeros_like(ranks.gt), top=None),
        "two relevants contradict each other",
    ),
    "other tops": (lambda ranks: ranks.top.__setitem__(0, ranks.top[0][::-1] + 1), "stands? first"),
}


@pytest.mark.parametrize("name", BAD_RANKS)
def test_bad_ranks(name: str, saved: Path, board: Path) -> None:
    change, message = BAD_RANKS[name]
    edit_ranks(saved, change)
    with pytest.raises(RecordError, match=message):
        submit(saved, board)
    assert not board.exists()


def _swap_with_neighbour(ranks: object) -> None:
    """One candidate less above the best relevant of some query: possible, and not what was measured."""
    gt, starts = ranks.gt, ranks.offsets[:-1]
    tops = ranks.top
    for start, stop, top in zip(starts, ranks.offsets[1:], tops, strict=True):
        best = start + int(np.argmin(gt[start:stop].sum(axis=1)))
        if (gt[best] > top).any():
            gt[best, int(np.argmax(gt[best] - top))] -= 1
            return


def test_an_edited_rank(saved: Path, board: Path) -> None:
    edit_ranks(saved, _swap_with_neighbour, sign=False)
    with pytest.raises(RecordError, match="are not those of the record"):
        submit(saved, board)
    edit_ranks(saved, lambda ranks: None)
    with pytest.raises(RecordError, match=r"do not follow from the ranks|relevance are not possible"):
        submit(saved, board)
    assert not board.exists()


@pytest.mark.parametrize(
    "facts",
    [
        {"format": "xqr-bench ranks 1"},
        {"format": "xqr-bench ranks 1", "columns": 5},
        {"format": "xqr-bench ranks 1", "columns": [["de"]]},
        {"column_sizes": None},
        {"column_sizes": [10**30] * 11},
        {"depth": {}},
        {"task": []},
    ],
)
def test_strange_facts_in_a_ranks_file(saved: Path, board: Path, facts: dict) -> None:
    path = saved.with_suffix(".ranks.parquet")
    table = pq.read_table(path)
    there = json.loads(table.schema.metadata[b"xqr_bench"])
    new = facts if "format" in facts else {**there, **facts}
    pq.write_table(table.replace_schema_metadata({"xqr_bench": json.dumps(new)}), path)
    with pytest.raises(RecordError):
        submit(saved, board)
    assert not board.exists()


def test_the_leaderboard_is_a_folder(saved: Path) -> None:
    with pytest.raises(XqrBenchError, match="is not a folder"):
        submit(saved, saved)


def test_a_record_of_the_first_version_loads_for_ever() -> None:
    path = Path(__file__).parent / "fixtures" / "record-1" / "mini.json"
    assert read_json(path)["schema_version"] == 1
    record = load_record(path, ranks=True)
    assert record.scores["multilingual"].macro["map"].value == pytest.approx(0.3027094489028986, abs=1e-12)
    assert record.ranks.n_queries == 36
