"""The leaderboard JSON and its tables."""

from __future__ import annotations

import io
import json
from pathlib import Path
from shutil import copytree

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from tests.board.conftest import score, submittable
from tests.conftest import needs_data
from tests.kit import ROOT, edit, read_json, run
from xqr_bench.board import facts
from xqr_bench.board import row as rows
from xqr_bench.board.asked import View, Witness
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.row import make_row, protocol_of, reproduce_command
from xqr_bench.board.site.build import make_pages
from xqr_bench.board.submissions import submit
from xqr_bench.board.table import leaderboard_text, read_leaderboard
from xqr_bench.board.terminal import show
from xqr_bench.encode import EncoderOptions
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.measure.certainty import figures_of
from xqr_bench.measure.paired import compare_pairs, verdict
from xqr_bench.measure.panel import sampling_units
from xqr_bench.measure.resampling import holm
from xqr_bench.measure.scores import all_per_query
from xqr_bench.record import Record, load_record, save_record, store
from xqr_bench.record.exposure import Exposure
from xqr_bench.tasks import list_specs

SCHEMA = read_json(ROOT / "leaderboard" / "leaderboard.schema.json")


class Length:
    """A poor encoder."""

    name = "lab/length"
    revision = "1"

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[1.0, len(text), len(text.split())] for text in texts])


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="module")
def filled(record: Record, noisy: Record, bounds: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of five rows, one of them reproduced; nobody changes it."""
    folder = tmp_path_factory.mktemp("filled")
    for found in (record, noisy, score(Length()), *bounds):
        submit(save_record(found, folder / "one" / "mini.json"), folder / "board")
    reproduce(folder / "board/char-ngrams/1/mini.json", witness=Witness(by="the lab"))
    return folder / "board"


@pytest.fixture(scope="module")
def text(filled: Path) -> str:
    return leaderboard_text(read_leaderboard(filled))


@pytest.fixture
def data(text: str) -> dict:
    return json.loads(text)


def shown(board: Path, *, test: bool = True) -> dict:
    return json.loads(leaderboard_text(read_leaderboard(board, test=test)))


def test_it_follows_its_schema_and_is_deterministic(filled: Path, text: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert leaderboard_text(read_leaderboard(filled)) == text
    assert Leaderboard.model_validate_json(text).leaderboard_version == 1
    assert str(filled) not in text


def test_rows(data: dict, record: Record) -> None:
    kinds = {row["id"]: (row["kind"], row["contest"]) for row in data["rows"]}
    assert kinds == {
        "oracle/1/mini": ("ceiling", False),
        "lab__noisy/2/mini": ("encoder", True),
        "char-ngrams/1/mini": ("baseline", True),
        "lab__length/1/mini": ("encoder", True),
        "random/seed-0/mini": ("floor", False),
    }
    values = [row["scores"]["multilingual"]["macro"]["map"]["value"] for row in data["rows"]]
    assert values == sorted(values, reverse=True)
    row = next(row for row in data["rows"] if row["model"] == "char-ngrams")
    assert row["status"] == "reproduced"
    assert row["attestation"]["file"] == "char-ngrams/1/mini.reproduced.json"
    assert {other["status"] for other in data["rows"] if other != row} == {"recomputed"}
    assert (row["record"], row["ranks"]) == ("char-ngrams/1/mini.json", "char-ngrams/1/mini.ranks.parquet")
    assert row["protocol"]["name"] == "standard"
    assert row["reproduce"]["command"] == "xqr-bench evaluate char-ngrams --task mini"
    multilingual = record.scores["multilingual"]
    figure = row["scores"]["multilingual"]["macro"]["map"]
    stored = multilingual.macro["map"]
    assert figure["value"] == pytest.approx(stored.value, rel=1e-6)
    assert figure["interval"] == pytest.approx([stored.interval.low, stored.interval.high], rel=1e-6)
    assert row["scores"]["multilingual"]["by_query_language"]["th"]["map"]["n"] == 24
    assert "joshi-3:into" in row["scores"]["cross-lingual"]["by_group"]
    pairs = row["scores"]["cross-lingual"]["by_language_pair"]
    assert len(pairs) == 110
    assert set(pairs["en>de"]) == {"map", "recall@1"}
    assert "rank_distance" not in row["scores"]["multilingual"]["macro"]
    distance = row["bias"]["macro"]["rank_distance"]
    assert distance["ratio_to_random"] == pytest.approx(multilingual.macro["rank_distance"].ratio_to_random, rel=1e-6)
    position = row["bias"]["language_position"]
    assert position["en"]["th"] == pytest.approx(
        multilingual.by_language_pair["en>th"]["language_position"].value, rel=1e-6
    )
    assert len(position) == 11
    ceiling = data["rows"][0]
    assert ceiling["scores"]["multilingual"]["macro"]["map"]["value"] == 1.0
    assert ceiling["standing"] == {}
    assert not any("close to perfect" in warning for warning in ceiling["warnings"])


def test_a_row_has_no_group_that_its_own_record_belies(record: Record) -> None:
    place = Path("char-ngrams/1/mini.json")
    of_model = {"vi": "trained", "el": "untouched"}
    trained = record.model_copy(update={"exposure": Exposure(level="same source", languages=of_model)})
    for one, groups in ((record, {"joshi-3", "paper-unseen"}), (trained, {"joshi-3"})):
        row = make_row(place, Path(), one)
        for figures in (*row.scores.values(), row.bias):
            assert {name.partition(":")[0] for name in figures.by_group} == groups
    assert "no figures of paper-unseen: it was trained on vi" in row.notes


def test_means_over_fewer_pairs_than_there_are_say_so(data: dict) -> None:
    assert Leaderboard.model_validate(data).left_out("mini") == ""
    for row in data["rows"]:
        row["scores"]["cross-lingual"]["macro"]["map"]["n"] -= 10
    board = Leaderboard.model_validate(data)
    line = "cross-lingual means are over the 2,630 of 2,640 pairs of a query and another language that have an answer"
    assert board.left_out("mini") == line
    console = Console(file=io.StringIO(), width=200)
    console.print(show(board, View()))
    assert line in console.file.getvalue()
    assert f"articles. Its {line}." in make_pages(board)["about.html"]


def test_task_facts(data: dict) -> None:
    facts = data["tasks"]["mini"]
    arabic = facts["languages"][0]
    assert (arabic["code"], arabic["name"], arabic["script"], arabic["right_to_left"]) == ("ar", "Arabic", "Arab", True)
    assert arabic["queries"] == 24
    assert facts["n_relevants"] == 2904
    assert facts["groups"]["joshi-3"]["languages"] == ["el", "th"]


def test_standings(data: dict) -> None:
    rows = {row["model"]: row["standing"]["multilingual"]["map"] for row in data["rows"] if row["contest"]}
    assert rows["lab/length"]["verdict"] == "below the best"
    assert not rows["lab/length"]["tied_with_best"]
    assert rows["lab/length"]["place"] == 3
    assert rows["lab/length"]["p_adjusted"] < 0.01
    near = {rows[name]["verdict"] for name in ("char-ngrams", "lab/noisy")}
    assert near == {"best", "not below the best"}
    assert rows["char-ngrams"]["tied_with_best"]
    assert rows["lab/noisy"]["tied_with_best"]


def test_two_rows_agree_with_the_paired_test(board: Path, record: Record, tmp_path: Path) -> None:
    """Two rows are compared by the paired tests, adjusted over the settings at both levels."""
    other = score(Length())
    for found in (record, other):
        submit(save_record(found, tmp_path / "one" / "mini.json"), board)
    units = sampling_units(record.ranks)
    sides = [figures_of(all_per_query(found.ranks, ["map"]), units, parts=["macro"]) for found in (record, other)]
    result = [one for _, _, one in compare_pairs(sides, units, seed=1)]
    names = [found.label.setting for found in result]
    adjusted = dict(zip(names, holm([found.p for found in result]), strict=True))
    by_article = dict(zip(names, holm([found.p_article for found in result]), strict=True))
    row = next(row for row in shown(board)["rows"] if row["model"] == "lab/length")
    for found in result:
        standing = row["standing"][found.label.setting]["map"]
        assert standing["difference"] == pytest.approx(-found.difference, abs=1e-6)
        assert standing["p_adjusted"] == pytest.approx(adjusted[found.label.setting], abs=0.02)
        assert standing["p_article"] == pytest.approx(by_article[found.label.setting], abs=0.02)
        assert (standing["verdict"] == "below the best") == (
            verdict(adjusted[found.label.setting], by_article[found.label.setting]) == "significant"
        )


def test_protocols_are_not_compared(board: Path, record: Record, tmp_path: Path) -> None:
    options = EncoderOptions(candidate_context="paragraph", name="lab/context")
    for found in (record, score("char-ngrams", options=options)):
        submit(save_record(found, tmp_path / "one" / "mini.json"), board)
    rows = {row["model"]: row for row in shown(board)["rows"]}
    assert rows["lab/context"]["protocol"]["name"] == "paragraph context"
    assert {row["standing"]["multilingual"]["map"]["verdict"] for row in rows.values()} == {"best"}
    done = run("leaderboard", "show", "--leaderboard", str(board))
    assert "lab/context [paragraph" in done.out
    assert " context]" in done.out  # on a second line: no name is cut
    assert "…" not in done.out  # nor a figure, where there is no terminal


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (("monolingual",), "monolingual only"),
        (("monolingual", "multilingual"), "monolingual and multilingual only"),
        (("monolingual", "cross-lingual", "multilingual"), "standard"),
    ],
)
def test_a_run_of_some_settings_says_so(record: Record, settings: tuple[str, ...], name: str) -> None:
    identity = record.model.identity.model_copy(update={"kind": "run"})
    changed = {
        "task": record.task.model_copy(update={"settings": list(settings)}),
        "model": record.model.model_copy(update={"identity": identity}),
    }
    protocol = protocol_of(record.model_copy(update=changed))
    assert (protocol.name, protocol.settings) == (name, list(settings))


def test_faulty_submissions_are_not_shown(filled: Path, board: Path) -> None:
    copytree(filled, board)
    (board / "char-ngrams/1/mini.reproduced.json").unlink()
    edit(board / "char-ngrams/1/mini.json", lambda data: data["scores"]["multilingual"]["map"].update(value=0.9))
    data = shown(board, test=False)
    assert "char-ngrams" not in [row["model"] for row in data["rows"]]
    (refused,) = data["refused"]
    assert refused["path"] == "char-ngrams/1/mini.json"
    assert refused["fault"].startswith("scores do not follow from the ranks: scores.multilingual.map.value")
    printed = run("leaderboard", "show", "--leaderboard", str(board), "--no-tests").out
    assert "char-ngrams/1/mini.json: scores do not follow" in printed


def test_a_score_too_good(board: Path, bounds: list[Record], tmp_path: Path) -> None:
    path = save_record(bounds[1], tmp_path / "one" / "mini.json")

    def claim(data: dict) -> None:
        data["model"]["identity"].update(
            kind="plugin", name="wonder", distribution="wonder 1", similarity="cosine", dimensions=8
        )
        data["model"]["name"] = "wonder"

    edit(path, claim)
    submit(path, board)
    (row,) = shown(board)["rows"]
    assert row["kind"] == "encoder"
    assert any("close to perfect: was the encoder trained on this task?" in note for note in row["notes"])


def test_undefined_figures_are_null(board: Path, tmp_path: Path) -> None:
    made = submittable(evaluate("oracle", metrics=["map", "language_order_w"])[0])
    submit(save_record(made, tmp_path / "one" / "mini.json"), board)
    (row,) = shown(board, test=False)["rows"]
    figure = row["bias"]["macro"]["language_order_w"]
    assert figure["value"] is None
    assert "undefined_reason" in figure


def test_show(filled: Path) -> None:
    done = run("leaderboard", "show", "--leaderboard", str(filled))
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(len(line) for line in lines) <= 100
    names = ["oracle (ceiling)", "char-ngrams (baseline)", "lab/noisy", "lab/length", "random (floor)"]
    found = {name: next(line for line in lines if line.startswith(f" {name}")) for name in names}
    assert found["char-ngrams (baseline)"].count(" =") == 3
    assert found["lab/noisy"].count(" =") == 3
    assert found["oracle (ceiling)"].count(" =") == 0
    assert "±" in found["lab/noisy"]
    assert lines.index(found["oracle (ceiling)"]) < lines.index(found["lab/noisy"]) < lines.index(found["lab/length"])
    by_model = run("leaderboard", "show", "--leaderboard", str(filled), "--sort", "model", "--no-tests").out
    # what may have seen the task, or does not say, stands apart
    assert by_model.index("char-ngrams") < by_model.index("random") < by_model.index("lab/length")
    assert by_model.index("lab/length") < by_model.index("lab/noisy")
    assert " = " not in by_model.partition("± half of")[0]


def test_show_parts(filled: Path, record: Record) -> None:
    base = ("leaderboard", "show", "--leaderboard", str(filled), "--no-tests")

    def line(*arguments: str) -> str:
        out = run(*base, *arguments).out
        return next(line for line in out.splitlines() if line.startswith(" char-ngrams"))

    multilingual = record.scores["multilingual"]
    thai = multilingual.by_query_language["th"]["map"].value
    assert f"{thai:.4f}"[1:] in line("--language", "th", "--setting", "multilingual")
    into = record.scores["cross-lingual"].by_group["joshi-3:into"]["map"].value
    assert f"{into:.4f}"[1:] in line("--group", "joshi-3")
    assert f"{into:.4f}"[1:] in line("--group", "joshi-3:into", "--setting", "cross-lingual")
    distance = multilingual.macro["rank_distance"].value
    assert f"{distance:.0f}" in line("--metric", "rank_distance", "--setting", "multilingual")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "xquad"), "no task of the leaderboard named 'xquad'"),
        (("--metric", "recall@7"), "no metric of the leaderboard named 'recall@7'"),
        (("--metric", "mop"), "no metric named 'mop'"),
        (("--setting", "bilingual"), "no setting named 'bilingual'"),
        (("--language", "xx"), "no language of these tasks named 'xx'"),
        (("--group", "joshi-9"), "no language group named 'joshi-9'"),
        (("--group", "joshi-3", "--language", "th"), "exclude each other"),
        (("--sort", "colour"), "no order named 'colour'"),
        (("--metric", "rank_distance", "--setting", "monolingual"), "is defined in: multilingual"),
        (("--json", "--language", "th"), "--json prints all figures: --language"),
    ],
)
def test_what_cannot_be_shown(filled: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("leaderboard", "show", "--leaderboard", str(filled), "--no-tests", *arguments)
    assert (done.code, message in done.err) == (1, True), done.err


def test_commands_that_reproduce(saved: Path) -> None:
    def command(kind: str, arguments: dict, **identity: object) -> tuple[str, str | None]:
        edit(saved, lambda data: data["provenance"].update(arguments=arguments))
        edit(saved, lambda data: data["model"]["identity"].update(kind=kind, **identity))
        return tuple(reproduce_command(load_record(saved)).model_dump().values())

    given = {"model": "intfloat/e5", "query_prompt": "query: ", "tasks": ["xquad-r"], "trust_remote_code": True}
    assert command("sentence-transformers", given, revision="abc") == (
        "xqr-bench evaluate intfloat/e5 --task mini --revision abc --query-prompt 'query: ' --trust-remote-code",
        None,
    )
    assert command("baseline", {"model": "baseline bm25", "k1": 0.9}) == (
        "xqr-bench baseline bm25 --task mini --k1 0.9",
        None,
    )
    assert command("baseline", {"model": "baseline random", "seed": 0, "trust_remote_code": False})[0] == (
        "xqr-bench baseline random --task mini --seed 0"
    )
    found, needs = command("precomputed", {"model": "precomputed:mine; rm -rf x"})
    assert found == "xqr-bench evaluate 'precomputed:mine; rm -rf x' --task mini"
    assert needs == "the folder mine; rm -rf x, which is not part of the submission"


@needs_data
def test_what_is_known_of_the_tasks_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "list_specs", list_specs)
    shipped = (ROOT / "xqr_bench" / "board" / "facts.json").read_text(encoding="utf-8")
    assert facts.facts_text() == shipped, "run: python -m xqr_bench.board.facts > xqr_bench/board/facts.json"


def test_known_facts_need_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "load_task", lambda *_: pytest.fail("the data was read"))
    for spec in list_specs():
        if not spec.demonstration and spec.digests_known:
            assert facts.data_facts(spec).n_questions > 1000


@pytest.mark.parametrize("place", ["recall@1/value", "rank_distance/value", "map/interval/low"])
def test_show_and_build_print_no_figure_that_was_not_computed_anew(place: str, filled: Path, board: Path) -> None:
    """Whatever was proved before: another figure is another record."""
    copytree(filled, board)
    assert shown(board, test=False)["refused"] == []
    *above, last = place.split("/")

    def forge(data: dict) -> None:
        part = data["scores"]["multilingual"]
        for key in above:
            part = part[key]
        part[last] += 0.01

    edit(board / "lab__noisy/2/mini.json", forge)
    (refused,) = shown(board, test=False)["refused"]
    assert refused["fault"].startswith(
        f"scores do not follow from the ranks: scores.multilingual.{place}".replace("/", ".")
    )


def test_a_contest_is_tested_once(filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XQR_BENCH_CACHE", str(tmp_path))
    first = shown(filled)
    assert len(list((tmp_path / "contests").iterdir())) == 1
    monkeypatch.setattr(rows, "standings", lambda *_: pytest.fail("tested again"))
    assert shown(filled) == first
    monkeypatch.setattr(rows, "code_digest", lambda: "other code")
    with pytest.raises(pytest.fail.Exception, match="tested again"):
        shown(filled)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x1f\x8b\x08garbage", b"{}", b"null"])
def test_a_damaged_cache_is_made_anew(
    content: bytes, filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XQR_BENCH_CACHE", str(tmp_path))
    first = shown(filled)
    files = [path for name in ("proved", "contests") for path in (tmp_path / name).iterdir()]
    whole = [path.read_bytes() for path in files]
    for path in files:
        path.write_bytes(content)
    assert shown(filled) == first
    assert sum(path.read_bytes() == before for path, before in zip(files, whole, strict=True)) >= len(files) - 2


def test_a_submission_holds_no_figure_that_it_leaves_out(filled: Path, board: Path) -> None:
    copytree(filled, board)
    by_language = {"th": {"map": {"value": 0.9, "n": 24}}}
    edit(
        board / "lab__noisy/2/mini.json",
        lambda data: data["scores"]["multilingual"].update(by_query_language=by_language),
    )
    (refused,) = shown(board, test=False)["refused"]
    assert "holds figures that a submission leaves out" in refused["fault"]


def test_figures_are_computed_once(filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XQR_BENCH_CACHE", str(tmp_path))
    show = ("leaderboard", "show", "--leaderboard", str(filled), "--no-tests")
    first = run(*show)
    assert len(first.err.splitlines()) == 5
    assert "computing the figures of char-ngrams on mini from its ranks" in first.err.splitlines()
    assert len(list((tmp_path / "proved").iterdir())) == 5
    assert run(*show) == first._replace(err="")
    monkeypatch.setattr(store, "code_digest", lambda: "other code")
    assert len(run(*show).err.splitlines()) == 5


def test_a_task_with_fewer_settings_has_no_empty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "list_specs", list_specs)
    done = run("leaderboard", "show", "--leaderboard", str(ROOT / "leaderboard"), "--task", "afriqa", "--no-tests")
    assert done.code == 0, done.err
    table, _, legend = done.out.partition("± half of")
    assert legend
    assert table.split("only ", 1)[0].split("model", 1)[1].split()[:3] == ["lingual", "lingual", "status"]
    assert "mono-" not in table
    assert "only]" not in table  # it has all settings that the task has
