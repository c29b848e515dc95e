"""Records on disk: round trip, recompute, every kind of damage."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from tests.kit import ROOT, contents, edit, every_kill, read_json
from xqr_bench import evaluate, load_record
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.core.files import waiting_place
from xqr_bench.record import (
    Record,
    check_possible,
    check_ranks,
    folder_name,
    load_ranks,
    ranks_digest,
    recompute,
    record_path,
    relevance_files,
    save_ranks,
    save_record,
    shortened,
    to_json,
)
from xqr_bench.record.beside import settle


@pytest.fixture
def saved(record: Record, tmp_path: Path) -> Path:
    return save_record(record, record_path(tmp_path, record.model.name, record.task.name))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("org/name", "org__name"),
        ("\u6a21\u578b\u7532", "\u6a21\u578b\u7532"),
        ("\u043c\u043e\u0434\u0435\u043b\u044c", "\u043c\u043e\u0434\u0435\u043b\u044c"),
        ("-rf", "_rf"),
        ("CON", "CON_"),
        ("nul.txt", "nul.txt_"),
        ("bm\u316425\ufe0f", "bm_25_"),  # a filler, a selector of variants
        ("...", "model"),
    ],
)
def test_folder_names(name: str, folder: str) -> None:
    assert folder_name(name) == folder


def test_the_short_form_holds_macro_averages_and_proves_the_rest(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relevance_files, "SAMPLE_ROWS", 500)  # of the mini task's sentences
    path = save_record(shortened(record), tmp_path / "mini.json")
    as_written = load_record(path, ranks=True, whole=False)
    assert to_json(as_written) == path.read_text(encoding="utf-8")
    assert all(not scores.by_query_language for scores in as_written.scores.values())
    for name in ("gt", "eq", "own_gt", "own_eq"):
        np.testing.assert_array_equal(getattr(as_written.ranks.counts, name), getattr(record.ranks.counts, name))
    # the counts of the sampled questions are those of the whole record
    questions = set(as_written.ranks_under("paragraph").question_ids)
    assert len(questions) == as_written.relevance["paragraph"].questions < record.task.n_questions
    sampled = record.ranks_under("paragraph").of_questions(questions)
    for mine, whole in zip(as_written.ranks_under("paragraph").counts, sampled.counts, strict=True):
        np.testing.assert_array_equal(mine, whole)
    for mine, whole in zip(as_written.ranks_under("lenient").counts, record.ranks_under("lenient").counts, strict=True):
        np.testing.assert_array_equal(mine, whole)
    check_ranks(as_written)
    assert recompute(as_written)[1] == []
    for _ in range(2):  # computed, and from the cache
        again = load_record(path)
        assert again.scores == record.scores
        assert again.relevance["lenient"].scores == record.relevance["lenient"].scores
        assert to_json(again) == path.read_text(encoding="utf-8")
    edit(path, lambda data: data["scores"]["multilingual"]["map"].update(value=0.5))
    with pytest.raises(RecordError, match=r"scores do not follow from the ranks: scores\.multilingual\.map\.value"):
        load_record(path)


def test_the_same_record_has_the_same_short_form_byte_for_byte(record: Record, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_record(shortened(record), tmp_path / name / "mini.json")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("damage", ["gt", "own_gt", "top"])
def test_pooled_ranks_that_are_not_possible(record: Record, damage: str) -> None:
    ranks = record.ranks.pooled()
    changed = getattr(ranks, damage).copy()
    changed[7] += 4000
    with pytest.raises(RecordError, match="not possible"):
        check_possible(replace(ranks, **{damage: changed}))


def test_round_trip(record: Record, saved: Path) -> None:
    again = load_record(saved, ranks=True)
    assert to_json(again) == saved.read_text(encoding="utf-8")
    assert ranks_digest(again.ranks) == record.ranks_file.digest
    np.testing.assert_array_equal(again.ranks.gt, record.ranks.gt)
    assert again.ranks.query_ids == record.ranks.query_ids


def test_names_of_files_need_not_be_text(record: Record, tmp_path: Path) -> None:
    made = record.provenance.model_copy(update={"arguments": {"output": "out\udcff", "languages": ["\ud800"]}})
    path = save_record(record.model_copy(update={"provenance": made}), tmp_path / "mini.json")
    moved = save_record(record, tmp_path / "out\udcff" / "mini.json")
    assert recompute(load_record(moved, ranks=True))[1] == []
    with pytest.raises(RecordError, match="names its ranks, and can name only text"):
        save_record(record, tmp_path / "mini\udcff.json")
    assert load_record(path).provenance.arguments == {"output": r"out\udcff", "languages": [r"\ud800"]}


def test_a_folder_is_no_place_for_a_record(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", "..", "/"):
        with pytest.raises(XqrBenchError, match="it is a folder"):
            save_record(record, place)
    assert list(tmp_path.iterdir()) == []


def test_a_record_made_by_an_installed_package_loads(record: Record, tmp_path: Path) -> None:
    """Without a checkout there is no commit."""
    made = record.provenance.model_copy(update={"commit": None, "dirty": None})
    path = save_record(record.model_copy(update={"provenance": made}), tmp_path / "mini.json")
    assert load_record(path).provenance.commit is None


def test_the_same_run_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    second = save_record(evaluate("char-ngrams", "mini"), tmp_path / "again" / "mini.json")
    first, other = (read_json(path) for path in (saved, second))
    for data in (first, other):
        data["provenance"].pop("created")
        data["provenance"].pop("seconds")
    assert first == other
    ranks = [path.with_suffix(".ranks.parquet").read_bytes() for path in (saved, second)]
    assert ranks[0] == ranks[1]


def test_a_record_is_replaced_whole_or_not_at_all(record: Record, tmp_path: Path) -> None:
    """Killed at any point, the old record stands there with its ranks, or the new one with its own."""
    new = evaluate("char-ngrams", "mini", languages=["de", "en"])
    new = new.model_copy(update={"relevance": {"lenient": new.relevance["lenient"]}})
    path, wanted = tmp_path / "here" / "mini.json", tmp_path / "there" / "mini.json"
    save_record(new, wanted)

    def begin() -> None:
        shutil.rmtree(path.parent, ignore_errors=True)
        save_record(record, path)

    found = []
    for _ in every_kill(path.parent, begin, lambda: save_record(new, path)):
        there = load_record(path, ranks=True)
        found.append(there.task.languages)
        assert len(there.relevance) == (1 if there.task.languages == ["de", "en"] else 2)
        for name in there.relevance:
            there.ranks_under(name)
        save_record(new, path)
        assert contents(path.parent) == contents(wanted.parent)
    assert found[0] == record.task.languages
    assert found[-1] == ["de", "en"]
    assert len(found) > 6


def test_ranks_that_wait_for_their_place_come_there(record: Record, saved: Path) -> None:
    """What an external reader opens is right again once the record was shown."""
    ranks = saved.with_suffix(".ranks.parquet")
    wanted = ranks.read_bytes()
    ranks.rename(waiting_place(ranks, record.ranks_file.digest))
    ranks.write_bytes(b"those of the record before")
    settle(load_record(saved, ranks=True), saved)
    assert ranks.read_bytes() == wanted
    assert [path.name for path in saved.parent.glob(".*")] == []


def test_a_name_is_one_line(saved: Path) -> None:
    edit(saved, lambda data: data["model"].update(name="mine\nerror: none"))
    edit(saved, lambda data: data["task"].update(title="mini\n  to do: rm"))
    record = load_record(saved)
    assert (record.model.name, record.task.title) == ("mine\ufffderror: none", "mini\ufffd  to do: rm")


def test_free_text_is_one_line(saved: Path) -> None:
    """A warning, a note, a source or a reason of somebody else's cannot begin a line that looks like one of ours."""
    hostile, one_line = "fine\nerror: none", "fine\ufffderror: none"

    def change(data: dict) -> None:
        data["warnings"] = [hostile]
        data["exposure"] = {"level": "unknown", "note": hostile, "sources": [hostile]}
        data["relevance"]["lenient"] = {"undefined_reason": hostile}

    record = load_record(edit(saved, change))
    assert record.warnings == [one_line]
    assert (record.exposure.note, record.exposure.sources) == (one_line, [one_line])
    assert record.relevance["lenient"].undefined_reason == one_line


def test_an_edited_score_is_found(saved: Path) -> None:
    edit(saved, lambda data: data["scores"]["multilingual"]["map"].update(value=0.9))
    _, differences = recompute(load_record(saved, ranks=True))
    assert [found.place for found in differences] == ["scores.multilingual.map.value"]
    assert differences[0].stored == 0.9


def test_an_edited_rank_is_found(record: Record, saved: Path) -> None:
    ranks = load_ranks(saved.with_suffix(".ranks.parquet"))
    ranks.gt[0, 0] += 1
    save_ranks(ranks, saved.with_suffix(".ranks.parquet"))
    with pytest.raises(RecordError, match="are not those of the record"):
        load_record(saved, ranks=True)


def test_impossible_lists_of_their_own_are_refused(record: Record) -> None:
    ranks = record.ranks
    column = (np.arange(ranks.n_relevants), ranks.relevant_columns)
    own_gt, own_eq = ranks.gt[column].copy(), ranks.eq[column].copy()
    check_possible(replace(ranks, own_gt=own_gt, own_eq=own_eq))
    own_gt[3] = 10**6
    with pytest.raises(RecordError, match="within the own language exceed its pool"):
        check_possible(replace(ranks, own_gt=own_gt, own_eq=own_eq))
    own_gt[3], own_eq[3] = 0, 0
    with pytest.raises(RecordError, match="tie with itself within its own language"):
        check_possible(replace(ranks, own_gt=own_gt, own_eq=own_eq))


def test_it_follows_the_shipped_schema(saved: Path) -> None:
    schema = read_json(ROOT / "leaderboard" / "schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_json(saved), schema)


def test_the_contract(saved: Path) -> None:
    """The keys other tools read."""
    data = read_json(saved)
    assert data["schema_version"] == 1
    assert data["task"]["name"] == "mini"
    assert data["model"]["name"] == "char-ngrams"
    assert data["model"]["identity"]["digest"]
    for setting in ("monolingual", "cross-lingual", "multilingual"):
        for name in ("map", "mrr", "recall@1", "recall@10", "recall@100", "success@1", "success@10", "ndcg@10"):
            score = data["scores"][setting][name]
            assert set(score) >= {"value", "pessimistic", "tied_fraction", "n"}
            assert score["pessimistic"] <= score["value"]
        assert "map" in data["scores"][setting]["by_query_language"]["th"]
    assert "map" in data["scores"]["cross-lingual"]["by_language_pair"]["en>de"]
    assert len(data["scores"]["cross-lingual"]["by_language_pair"]) == 110
    assert "map" in data["scores"]["multilingual"]["by_group"]["joshi-3"]
    assert "map" in data["scores"]["cross-lingual"]["by_group"]["joshi-3:into"]
    bias = data["scores"]["multilingual"]
    for name in ("rank_distance", "rank_variance", "own_language_first"):
        assert bias[name]["random_reference"] > 0
    assert bias["by_language_pair"]["en>th"]["language_position"]["value"] is not None
    assert 0 < bias["by_query_language"]["en"]["language_order_w_corrected"]["p"] <= 1
    assert data["provenance"]["packages"]["numpy"] == np.__version__


def test_frame(record: Record) -> None:
    frame = record.to_frame()
    row = frame.query(
        "setting == 'cross-lingual' and part == 'by_language_pair' and key == 'en>de' and metric == 'map'"
    )
    assert row["value"].item() == record.scores["cross-lingual"].by_language_pair["en>de"]["map"].value
    assert len(frame) == sum(1 for scores in record.scores.values() for _ in scores.items())


def test_macro_averages_are_means_of_means(record: Record) -> None:
    cross = record.scores["cross-lingual"]
    pairs = [scores["map"].value for scores in cross.by_language_pair.values()]
    assert cross.macro["map"].value == pytest.approx(np.mean(pairs), abs=1e-12)
    into = [
        scores["map"].value
        for pair, scores in cross.by_language_pair.items()
        if pair.split(">")[1] in ("el", "th") and pair.split(">")[0] not in ("el", "th")
    ]
    assert len(into) == 18
    assert cross.by_group["joshi-3:into"]["map"].value == pytest.approx(np.mean(into), abs=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a record"),
        ("[]", "is not a record"),
        ("{}", "no schema_version"),
        ('{"schema_version": 99}', "has the schema version 99"),
        ('{"schema_version": 1}', "does not follow the record schema"),
    ],
)
def test_what_is_not_a_record(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        load_record(path)


def test_missing_files(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(RecordError, match="there is no record"):
        load_record(tmp_path / "nowhere.json")
    saved.with_suffix(".ranks.parquet").unlink()
    with pytest.raises(RecordError, match="there is no ranks file"):
        load_record(saved, ranks=True)


def test_a_ranks_file_elsewhere_is_not_followed(saved: Path) -> None:
    edit(saved, lambda data: data["ranks_file"].update(file="../mini.ranks.parquet"))
    with pytest.raises(RecordError, match="names no ranks file beside it"):
        load_record(saved, ranks=True)
