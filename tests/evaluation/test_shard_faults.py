"""What may lie in the folder of a run in shards, and is named, made again or refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_shards import Few, in_shards, refuse_differences, task_of
from tests.kit import Done, contents, ran, run
from xqr_bench.core.errors import RecordError, UsageError, XqrBenchError
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.merged import MergedRanker, merge_shards
from xqr_bench.evaluation.shard_files import FORMAT
from xqr_bench.evaluation.shards import ShardedRun
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.record import load_record, provenance


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "shards"
    in_shards("char-ngrams", [task_of("mini")], folder, 3)
    return folder


@pytest.fixture
def copied(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "shards"))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there are no shards in"):
        MergedRanker(tmp_path)


@pytest.mark.parametrize(
    ("gone", "left"), [("counted", "encoded, found"), ("found", "encoded, counted"), ("encoded", "found, counted")]
)
def test_missing(copied: Path, gone: str, left: str) -> None:
    (copied / f"2-of-3.{gone}").unlink()
    with pytest.raises(RecordError) as caught:
        MergedRanker(copied)
    assert f"is not finished: of 3 shards, shard 2 left only {left}\n" in str(caught.value)
    assert "--shard 2/3" in str(caught.value)
    for path in copied.glob("3-of-3.*"):
        path.unlink()
    with pytest.raises(RecordError, match=f"of 3 shards, shard 2 left only {left}; shard 3 left nothing"):
        MergedRanker(copied)


@pytest.mark.parametrize(
    "copy",
    [
        "2-of-3 (1).counted",
        "2-of-3.sync-conflict-20261130-101500-ABCDEFG.counted",
        "2-of-3.counted.bak",
        "Copy of 2-of-3.counted",
    ],
)
def test_a_copy_is_not_overlooked(copied: Path, copy: str) -> None:
    shutil.copy(copied / "2-of-3.counted", copied / copy)
    said = re.escape(f"{copy} has nearly the name of 2-of-3.counted: it is there twice")
    with pytest.raises(RecordError, match=said):
        MergedRanker(copied)
    with opened("char-ngrams") as ranker, pytest.raises(RecordError, match=said):
        ShardedRun(ranker, [task_of("mini")], copied, 3).go_on(1)
    (copied / copy).rename(copied / f".syncthing.{copy}.tmp")  # what is still on its way is waited for
    MergedRanker(copied)


def test_doubled(copied: Path) -> None:
    shutil.copy(copied / "1-of-3.counted", copied / "2-of-3.counted")
    with pytest.raises(RecordError, match=r"2-of-3.counted is shard 1 of 3 \(counted\) a second time"):
        MergedRanker(copied)


def test_of_another_number(copied: Path) -> None:
    in_shards("char-ngrams", [task_of("mini")], copied.parent / "two", 2)
    shutil.copy(copied.parent / "two" / "1-of-2.counted", copied)
    with pytest.raises(RecordError, match=r"1-of-2\.counted is shard 1 of 2, of .* than 3\n.*--shard 1/2; if not"):
        MergedRanker(copied)
    with opened("char-ngrams") as ranker, pytest.raises(RecordError, match="of a run in another number of shards"):
        ShardedRun(ranker, [task_of("mini")], copied, 3).go_on(1)


@pytest.mark.parametrize("other", ["another model", "other data", "another version"])
def test_foreign(copied: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, place = task_of("mini", limit=4) if other == "other data" else task_of("mini"), copied.parent / "foreign"
    if other == "another version":
        monkeypatch.setattr("xqr_bench.evaluation.shard_facts.__version__", "0.0.9")
    in_shards(Few() if other == "another model" else "char-ngrams", [task], place, 3)
    monkeypatch.undo()
    shutil.copy(place / "3-of-3.counted", copied)
    named = {"another model": "model: few there", "other data": "mini: counts", "another version": "xqr-bench: 0.0.9"}
    with pytest.raises(RecordError) as caught:
        MergedRanker(copied)
    assert "3-of-3.counted is a shard of another run" in str(caught.value)
    assert named[other] in str(caught.value)
    with opened("char-ngrams") as ranker, pytest.raises(RecordError, match="is a shard of another run"):
        ShardedRun(ranker, [task_of("mini")], copied, 3).go_on(3)


SMALL = ("char-ngrams", "--limit", "3", "--languages", "en,de,th")


def small_shard(folder: Path, number: int, *more: str) -> Done:
    return run("evaluate", *SMALL, *more, "--shard", f"{number}/3", "--output", str(folder), "--quiet")


def test_vectors_that_have_changed_are_not_ranked(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    for number in (1, 2, 3):
        small_shard(folder, number)
    for path in folder.glob("*.found"):
        path.unlink()
    (vectors,) = folder.glob("1-of-3.*.f32")
    whole = vectors.read_bytes()
    half = len(whole) // 8 * 4
    vectors.write_bytes(whole[:half] + np.frombuffer(whole[half:], "<f4")[::-1].tobytes())
    done = small_shard(folder, 2)
    assert done.code == 1
    assert f"{vectors} does not hold the vectors that shard 1 of 3 has written there" in done.err
    assert "to do: remove it, run that shard again, then the others" in done.err
    vectors.unlink()
    assert [small_shard(folder, number).code for number in (1, 2, 3, 1, 2)] == [75, 75, 0, 0, 0]
    assert vectors.read_bytes() == whole
    ran("merge", str(folder), "--output", str(tmp_path / "merged"))
    ran("evaluate", *SMALL, "--output", str(tmp_path / "alone"))
    both = [load_record(tmp_path / name / "char-ngrams" / "mini.json", ranks=True) for name in ("alone", "merged")]
    refuse_differences(both[0], both[1], tmp_path)


@pytest.mark.parametrize("cut", [None, 400])
def test_vectors_that_are_lost_are_made_again(cut: int | None, tmp_path: Path) -> None:
    assert small_shard(tmp_path, 1).code == 75
    (vectors,) = tmp_path.glob("1-of-3.*.f32")
    whole = vectors.read_bytes()
    vectors.unlink()
    if cut is not None:
        vectors.write_bytes(whole[:cut])
    small_shard(tmp_path, 3)
    assert "shard 2 of 3 waits for the vectors of shard 1:" in small_shard(tmp_path, 2).err
    assert "waits for the scores of the relevants of shards 2, 3:" in small_shard(tmp_path, 1).err
    assert vectors.read_bytes() == whole


def test_other_options_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    assert small_shard(tmp_path, 1).code == 75
    before = contents(tmp_path)
    done = small_shard(tmp_path, 2, "--allow-zero-vectors")
    assert done.code == 1
    assert "1-of-3.encoded is a shard of another run" in done.err
    assert "zero vectors: refused there, allowed here" in done.err
    assert contents(tmp_path) == before
    assert small_shard(tmp_path, 1).code == 75


def test_metrics_are_compared_by_the_merge(tmp_path: Path) -> None:
    folder, output = tmp_path / "shards", str(tmp_path / "merged")
    for _ in range(3):
        for number in (1, 2, 3):
            small_shard(folder, number, "--metrics", "recall@10" if number == 2 else "map")
    done = run("merge", str(folder), "--output", output)
    assert done.code == 1
    assert "were asked for different metrics" in done.err
    assert "map in 1-of-3.counted; recall@10 in 2-of-3.counted" in done.err
    (folder / "2-of-3.counted").unlink()
    assert small_shard(folder, 2, "--metrics", "map").code == 0
    ran("merge", str(folder), "--output", output)
    assert load_record(tmp_path / "merged" / "char-ngrams" / "mini.json").task.metrics == ["map"]


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf"])
def test_no_time_to_wait(seconds: str, tmp_path: Path) -> None:
    done = run("evaluate", "char-ngrams", "--shard", "1/2", f"--wait={seconds}", "--output", str(tmp_path))
    assert done.code == 1
    assert "--wait cannot be" in done.err
    assert not list(tmp_path.iterdir())
    with opened("char-ngrams") as ranker, pytest.raises(UsageError, match="seconds cannot be waited"):
        ShardedRun(ranker, [task_of("mini", limit=3)], tmp_path, 2).wait(1, float(seconds))


def test_a_digit_of_what_a_file_says_has_changed(copied: Path) -> None:
    path = copied / "1-of-3.counted"
    content = path.read_bytes()
    found = re.search(rb'zero_candidates\\": (\d)', content)
    assert found is not None
    digit = b"7" if found[1] != b"7" else b"8"
    path.write_bytes(content[: found.start(1)] + digit + content[found.end(1) :])
    with pytest.raises(RecordError, match=r"1-of-3\.counted is damaged.*\n.*what it says of itself differs"):
        merge_shards(copied)


def test_files_of_another_version(copied: Path) -> None:
    """Those of format 2 do not say where each task was counted."""
    for path in copied.glob("*.counted"):
        content = path.read_bytes()
        assert content.count(FORMAT.encode()) == 1
        path.write_bytes(content.replace(FORMAT.encode(), b"xqr-bench shard 2"))
    with pytest.raises(RecordError) as caught:
        merge_shards(copied)
    problem, found, to_do = str(caught.value).splitlines()
    assert problem.endswith("1-of-3.counted was written by another version of xqr-bench")
    assert f"'xqr-bench shard 2', not {FORMAT!r}" in found
    assert "with one version" in to_do


@pytest.mark.parametrize("at", [3, 60, -40])
def test_damaged(copied: Path, at: int) -> None:
    path = copied / "2-of-3.counted"
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(XqrBenchError, match=r"2-of-3\.counted is damaged"):
        merge_shards(copied)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(XqrBenchError, match=r"2-of-3\.counted is damaged"):
        merge_shards(copied)


def test_what_has_changed_is_done_again(copied: Path) -> None:
    task = task_of("mini")
    with opened("char-ngrams") as ranker:
        work = ShardedRun(ranker, [task], copied, 3)
        before = contents(copied)
        assert all(work.go_on(number) is None for number in (1, 2, 3))
        assert contents(copied) == before  # nothing was done twice
        edit_sum(work, 1)
        with pytest.raises(RecordError, match=r"was made from another 1-of-3\.encoded than the one there"):
            MergedRanker(copied)
        left = [work.go_on(number) for number in (1, 2, 3, 1, 2)]
        waiting = [
            "waits for the scores of the relevants of shards 2, 3",
            "waits for the scores of the relevants of shard 3",
        ]
        assert [str(one) for one in left] == [*waiting, "None", "None", "None"]
    (merged,) = merge_shards(copied)
    (single,) = evaluate("char-ngrams", [task])
    assert merged.ranks_file.digest == single.ranks_file.digest


def test_shards_of_other_machines_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, folder = task_of("mini", limit=4), tmp_path / "shards"
    in_shards("char-ngrams", [task], folder, 2)
    assert not any("not all made alike" in line for line in merge_shards(folder, [task])[0].warnings)
    (folder / "2-of-2.counted").unlink()
    there = provenance.hardware(None)
    monkeypatch.setattr(provenance, "hardware", lambda device: {**there, "processor": "another one"})
    with opened("char-ngrams") as ranker:
        assert ShardedRun(ranker, [task], folder, 2).go_on(2) is None
    monkeypatch.undo()
    assert merge_shards(folder, [task])[0].warnings[-1] == (
        f"the shards were not all made alike (processor: {there['processor']}; another one): near ties may stand "
        "otherwise than in a single run"
    )


def test_token_counts(model: Path, tmp_path: Path) -> None:
    """Lost ones are counted again and nothing else is done; damaged ones are named; from others all is done again."""
    task, options, folder = task_of("mini", limit=6), EncoderOptions(batch_size=8, device="cpu"), tmp_path / "shards"
    with opened(str(model), options) as ranker:
        work = ShardedRun(ranker, [task], folder, 3)

        def all_do(numbers: Sequence[int]) -> list[str]:
            return [str(work.go_on(number)) for number in numbers]

        assert all_do([1, 2, 3])[:2] == [
            "waits for the token counts of shards 2, 3",
            "waits for the token counts of shard 3",
        ]
        assert all_do([1, 2, 3, 1, 2, 3])[-3:] == ["None", "None", "None"]
        whole = contents(folder)
        lost = folder / "2-of-3.measured"
        lost.unlink()
        with pytest.raises(RecordError, match="of 3 shards, shard 2 left only encoded, found, counted"):
            MergedRanker(folder)
        assert all_do([1, 2, 1]) == ["waits for the token counts of shard 2", "None", "None"]
        again = contents(folder)
        assert {name for name in whole if whole[name] != again[name]} <= {lost.name}
        for path in folder.glob("*.measured"):
            path.rename(path.with_name(f".{path.name}"))
        with pytest.raises(RecordError, match=r"1-of-3\.encoded was made from a file that is gone\n.*1-of-3\.measured"):
            MergedRanker(folder)
        for path in folder.glob(".*.measured"):
            path.rename(path.with_name(path.name[1:]))
        (folder / "1-of-3.encoded").unlink()
        content = bytearray(lost.read_bytes())
        content[-1] ^= 0x40
        lost.write_bytes(content)
        with pytest.raises(RecordError, match=r"2-of-3\.measured is damaged"):
            work.go_on(1)
        lost.unlink()
        assert all_do([2, 1]) == ["waits for the vectors of shard 1", "None"]
        edit_sum(work, 2, "measured")
        with pytest.raises(RecordError, match=r"was made from another 2-of-3\.measured than the one there"):
            MergedRanker(folder)
        assert all_do([1, 2, 3, 1, 2, 3, 1, 2])[-3:] == ["None", "None", "None"]
    (single,) = evaluate(VectorRanker(load_encoder(str(model), options)), [task])
    refuse_differences(single, merge_shards(folder, [task])[0], tmp_path)


def edit_sum(work: ShardedRun, number: int, what: str = "encoded") -> None:
    """Do a pass of a shard again, with other last bits: here with what its file says of itself."""
    from xqr_bench.evaluation.shard_files import read_shard_file, write_shard_file

    about, arrays = read_shard_file(work.folder, f"{number}-of-3.{what}")
    write_shard_file(work.folder, about, {**arrays, "other": np.zeros(1)})
