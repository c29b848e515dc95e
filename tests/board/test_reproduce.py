"""Running an encoder again, and the attestation of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.board.conftest import edit_ranks, score
from tests.kit import contents, edit, read_json, run
from xqr_bench.board.asked import Rerun, Submission
from xqr_bench.board.reproduce import compare, reproduce
from xqr_bench.board.row import reproduce_command
from xqr_bench.board.submissions import Differences, Tolerance, load_attestation, submit, verify
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.encode import EncoderOptions
from xqr_bench.record import Record, load_record, save_record


@pytest.fixture
def placed(saved: Path, board: Path) -> Path:
    return submit(saved, board).record


def test_a_record_reproduced(placed: Path, board: Path) -> None:
    done = run("reproduce", str(placed))
    assert done.code == 0
    assert "2,904 of 2,904 relevants have the same counts" in done.out
    beside = placed.with_name("mini.reproduced.json")
    assert f"reproduced: {beside}" in done.out
    made = load_attestation(beside, load_record(placed))
    assert made.found == Differences(
        relevants=2904, identical=2904, moved=0, max_score_difference=0.0, largest=made.found.largest
    )
    assert made.model == "char-ngrams"
    assert made.identity_differences == {}
    assert verify(board).faults == []


def test_the_attestation_goes_along(saved: Path, board: Path) -> None:
    reproduce(saved)
    done = submit(saved, board)
    assert done.attestation == board / "char-ngrams/1/mini.reproduced.json"
    assert str(done.attestation) in done.commands[1]
    assert verify(board).faults == []


def test_replacing_takes_an_old_attestation_away(saved: Path, placed: Path, board: Path) -> None:
    reproduce(placed)
    assert submit(saved, board, Submission(replace=True)).attestation is None
    assert sorted(contents(board)) == [
        f"char-ngrams/1/mini.{end}" for end in ("json", "lenient.parquet", "paragraph.parquet", "ranks.parquet")
    ]


def test_another_encoder_is_not_the_same(placed: Path, tmp_path: Path) -> None:
    code = tmp_path / "other.py"
    code.write_text(
        "class Other:\n    def encode(self, texts):\n        return [[1, len(t), t.count('e')] for t in texts]\n",
        encoding="utf-8",
    )
    done = run("reproduce", str(placed), "--model", f"{code}:Other")
    assert done.code == 1
    assert "not reproduced within the tolerance" in done.out
    assert "identity: kind was builtin, is python" in done.out
    assert not placed.with_name("mini.reproduced.json").exists()


def test_a_wide_tolerance_attests_nothing(placed: Path) -> None:
    done = run("reproduce", str(placed), "--tolerance", "0.5")
    assert done.code == 0
    assert "wider than the leaderboard's: no attestation was written" in done.out
    assert not placed.with_name("mini.reproduced.json").exists()
    assert run("reproduce", str(placed), "--tolerance", "2").code == 1


def test_what_counts_as_moved(record: Record) -> None:
    again = score("char-ngrams")
    ranks = again.ranks
    rank = ranks.gt.sum(axis=1) + (ranks.eq.sum(axis=1) + 1) / 2
    near, far = int(np.argmin(rank)), int(np.argmax(rank))
    ranks.gt[near, 0] += 1  # by one: not moved, but not identical
    ranks.gt[far, 0] -= 1 + int(0.01 * rank[far]) + 1
    found = compare(record, again)
    assert (found.relevants - found.identical, found.moved) == (2, 1)
    assert found.max_score_difference == 0.0


def test_within() -> None:
    def found(moved: int, difference: float) -> bool:
        facts = {"relevants": 1000, "identical": 0, "largest": ""}
        return Differences(moved=moved, max_score_difference=difference, **facts).within(Tolerance())

    assert found(10, 0.001)
    assert not found(11, 0.0)
    assert not found(0, 0.00101)


REFUSED = {
    "precomputed": (
        lambda data: data["model"]["identity"].update(kind="precomputed"),
        "made from precomputed vectors: there is no encoder to run again",
    ),
    "run": (lambda data: data["model"]["identity"].update(kind="run"), "made from a ranking made elsewhere"),
    "python": (lambda data: data["model"]["identity"].update(kind="python"), "run only when it is named"),
    "remote code": (
        lambda data: data["model"]["identity"].update(remote_code=True),
        "made with code that comes with the model",
    ),
    "partial": (lambda data: data["task"].update(partial={"limit": 3}), "part of a task cannot be reproduced"),
    "unknown baseline": (
        lambda data: data["model"]["identity"].update(kind="baseline", name="dice"),
        "no baseline named 'dice'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_again(name: str, saved: Path) -> None:
    change, message = REFUSED[name]
    edit(saved, change)
    with pytest.raises(XqrBenchError, match=message):
        reproduce(saved)


def test_vectors_are_no_encoder(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vectors" / "mini"
    folder.mkdir(parents=True)
    np.save(folder / "queries.npy", np.ones((1, 2)))
    (folder / "queries.ids.txt").write_text("en:1\n", encoding="utf-8")
    with pytest.raises(XqrBenchError, match="is precomputed vectors, not an encoder"):
        reproduce(saved, again=Rerun(model=f"precomputed:{tmp_path / 'vectors'}"))


def test_baselines_are_run_again(bounds: list[Record], tmp_path: Path) -> None:
    for found in bounds:
        path = save_record(found, tmp_path / found.model.name / "mini.json")
        done = reproduce(path)
        assert done.within
        assert done.attestation.found.identical == 2904


def test_options_of_the_record_are_used(tmp_path: Path) -> None:
    options = EncoderOptions(candidate_prompt="sentence: ", name="lab/prompted")
    made = score("char-ngrams", options=options)
    path = save_record(made, tmp_path / "mini.json")
    edit(
        path,
        lambda data: data["provenance"].update(arguments={"model": "char-ngrams", "candidate_prompt": "sentence: "}),
    )
    assert reproduce(path).attestation.found.identical == 2904
    edit(path, lambda data: data["provenance"].update(arguments={"model": "char-ngrams"}))
    assert reproduce(path).attestation.found.identical < 2904


BAD = {
    "no form": (lambda data: data.pop("date"), "is no attestation: date: Field required"),
    "another record": (lambda data: data.update(record_digest="0" * 64), "is about another record"),
    "wide": (lambda data: data["tolerance"].update(moved_share=0.5), "is wider than the leaderboard's"),
    "wide scores": (lambda data: data["tolerance"].update(score_difference=0.5), "is wider than the leaderboard's"),
    "moved": (lambda data: data["found"].update(moved=2904, identical=0), "contradict its digest"),
    "not kept": (
        lambda data: data.update(reproduced_ranks="0" * 64, found={**data["found"], "identical": 0, "moved": 100}),
        "is not within its tolerance",
    ),
    "fewer": (lambda data: data["found"].update(relevants=1, identical=1), "are not possible"),
    "negative": (lambda data: data["found"].update(max_score_difference=-1.0), "are not possible"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_attestations(name: str, placed: Path, board: Path) -> None:
    reproduce(placed)
    change, message = BAD[name]
    edit(placed.with_name("mini.reproduced.json"), change)
    (fault,) = verify(board).faults
    assert fault.path == "char-ngrams/1/mini.json"
    assert message in fault.text


def test_an_attestation_of_other_ranks(placed: Path) -> None:
    reproduce(placed)
    edit_ranks(placed, lambda ranks: ranks.gt.__setitem__((0, 0), ranks.gt[0, 0] + 1))
    with pytest.raises(RecordError, match="is about another record"):
        load_attestation(placed.with_name("mini.reproduced.json"), load_record(placed))


def test_the_file_names_no_local_path(saved: Path, tmp_path: Path) -> None:
    code = tmp_path / "same.py"
    code.write_text("from xqr_bench.encode.char_ngrams import CharNgrams as Same\n", encoding="utf-8")
    done = reproduce(saved, again=Rerun(model=f"{code}:Same"))
    made = read_json(done.written)
    assert made["model"] == "same.py:Same"
    assert str(tmp_path) not in done.written.read_text(encoding="utf-8")


def test_a_record_of_a_sweep_names_the_sweep(saved: Path, board: Path) -> None:
    group = {"study": "ratio", "condition": "demo", "arm": "alpha-1", "seed": 3, "updates": 8, "plan": "0" * 64}
    recipe = {"name": "static", "updates": 16, "batch_size": 4, "learning_rate": 0.001, "temperature": 0.1}
    training = {"recipe": recipe, "base": {"spec": "static"}, "alignment": {"statistics": {"updates": 600}}}
    edit(saved, lambda data: data.update(run_group=group, training=training))
    command = (
        "xqr-bench sweep --output study --condition demo --arm alpha-1 --seeds 3 --base static --recipe static "
        "--updates 8 --learning-rate 0.001 --temperature 0.1 --batch-size 4 --align-updates 600"
    )
    assert reproduce_command(load_record(saved)).command == command
    with pytest.raises(RecordError, match="keeps no models") as raised:
        reproduce(saved)
    assert command in str(raised.value)
    edit(saved, lambda data: data["run_group"].update(arm="x; rm -rf ~", seed=[1]))
    hostile = reproduce_command(load_record(saved)).command
    assert "--arm 'x; rm -rf ~'" in hostile
    assert "--seeds" not in hostile
