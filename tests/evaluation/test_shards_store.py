"""Shards take vectors from the embedding store and leave theirs there, as a single run does.

The last column of the toy's vectors depends on the batch, so a text that is encoded in another batch shows.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.store.conftest import SENSITIVE, log, shards  # noqa: F401
from tests.evaluation.test_shards import Stopping, refuse_differences, task_of
from tests.kit import Seen, contents, run
from xqr_bench.core.errors import RecordError
from xqr_bench.encode import EncoderOptions, VectorStore, load_encoder
from xqr_bench.encode.store import locked
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.merged import merge_shards
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.shards import ShardedRun, Waiting
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.record import Result

Log = Callable[[], list[list[str]]]


def ranker(store: VectorStore | None, name: str = "Sensitive") -> VectorRanker:
    return VectorRanker(load_encoder(f"{SENSITIVE}:{name}", EncoderOptions(batch_size=4)), store=store)


def in_shards(store: VectorStore, tasks: list[Task], folder: Path, of: int, name: str = "Sensitive") -> list[Result]:
    """Each shard by a process of its own, as far as that matters."""
    waiting = list(range(1, of + 1))
    for _ in range(5):
        waiting = [one for one in waiting if ShardedRun(ranker(store, name), tasks, folder, of).go_on(one) is not None]
    assert not waiting
    return merge_shards(folder, tasks)


def texts_of(record: Result) -> tuple[int, int]:
    assert record.provenance.texts is not None
    return record.provenance.texts.distinct, record.provenance.texts.from_store


@pytest.mark.parametrize("name", ["Sensitive", "TwoWays"])
@pytest.mark.parametrize("of", [1, 3])
def test_the_record_of_a_single_run_with_that_store(name: str, of: int, tmp_path: Path) -> None:
    """Where the store has nothing, some of the texts, what an interrupted run had planned, and everything."""
    task, before = task_of("mini"), [task_of("mini", languages=("de", "en"), limit=6)]
    stores = {which: VectorStore(tmp_path / which, shard_texts=24) for which in ("one", "many")}

    def fill(step: str) -> None:
        if step in ("some", "planned"):
            shutil.rmtree(stores["one"].folder)
            evaluate(ranker(stores["one"], name), before)
        if step == "planned":
            with pytest.raises(KeyboardInterrupt):
                evaluate(ranker(stores["one"], name), [task], observe=Stopping(30))
        shutil.rmtree(stores["many"].folder, ignore_errors=True)
        if step != "nothing":
            shutil.copytree(stores["one"].folder, stores["many"].folder)

    for step in ("nothing", "some", "planned", "everything"):
        fill(step)
        (single,) = evaluate(ranker(stores["one"], name), [task])
        (merged,) = in_shards(stores["many"], [task], tmp_path / step, of, name)
        refuse_differences(single, merged, tmp_path / "compared")
        assert texts_of(single) == texts_of(merged)
        distinct, from_store = texts_of(merged)
        assert from_store == 0 if step == "nothing" else 0 < from_store <= distinct
        assert (from_store == distinct) == (step == "everything")
        assert not list((tmp_path / step).glob("pieces/*"))
    kept = [{path.name: path.read_bytes() for path in shards(store)} for store in stores.values()]
    assert kept[0] == kept[1]  # also what is left for the next run


def test_a_stopped_shard_goes_on_from_the_store(log: Log, tmp_path: Path) -> None:  # noqa: F811
    """In as many shards, in others, or alone: what was encoded is not encoded again, and the bytes are the same."""
    task, begun = task_of("mini"), VectorStore(tmp_path / "begun")
    (single,) = evaluate(ranker(None), [task])
    distinct = texts_of(single)[0]
    log()
    with pytest.raises(KeyboardInterrupt):
        ShardedRun(ranker(begun), [task], tmp_path / "three", 3).go_on(2, Stopping(50))
    done = sum(map(len, log()))
    kept = sum(len(path_digests(path)) for path in shards(begun))
    assert 0 < kept <= done
    for how in ("three", "five", "alone"):
        store = VectorStore(tmp_path / how / "store")
        shutil.copytree(begun.folder, store.folder)
        if how == "alone":
            (made,) = evaluate(ranker(store), [task])
        else:
            folder = tmp_path / f"{how} shards"
            if how == "three":
                shutil.copytree(tmp_path / "three", folder, ignore=shutil.ignore_patterns("store"))
            (made,) = in_shards(store, [task], folder, {"three": 3, "five": 5}[how])
        batches = log()
        again = [text for batch in batches for text in batch]
        # a few are encoded anew wherever kept vectors are used by a run that has just begun
        assert distinct - kept <= len(again) <= distinct - kept + (0 if how == "three" else 8 * 22)
        refuse_differences(single, made, tmp_path / "compared")
        assert texts_of(made) == (distinct, 0 if how == "three" else kept)


def path_digests(path: Path) -> list[bytes]:
    from xqr_bench.encode.shards import open_shard

    return open_shard(path, path.parents[1].name).digests


def test_another_store_than_the_one_that_was_planned_with(log: Log, tmp_path: Path) -> None:  # noqa: F811
    """Two machines: what one has and the other has not is encoded there; what was planned in batches, in those."""
    task, one, two = task_of("mini"), VectorStore(tmp_path / "one"), VectorStore(tmp_path / "two")
    (single,) = evaluate(ranker(one), [task])
    folder, log_before = tmp_path / "shards", log()
    assert log_before
    assert ShardedRun(ranker(one), [task], folder, 2).go_on(1) is not None
    log()
    assert ShardedRun(ranker(two), [task], folder, 2).go_on(2) is not None
    encoded = [text for batch in log() for text in batch]
    assert len(encoded) == len(set(encoded)) > 0
    for number in (1, 2, 1):
        ShardedRun(ranker(one), [task], folder, 2).go_on(number)
    (merged,) = merge_shards(folder, [task])
    refuse_differences(single, merged, tmp_path / "compared")
    assert texts_of(merged) == (texts_of(single)[0], texts_of(single)[0] - len(encoded))


def test_a_damaged_file_of_the_store(log: Log, tmp_path: Path) -> None:  # noqa: F811
    task, store, folder = task_of("mini"), VectorStore(tmp_path / "store", shard_texts=24), tmp_path / "shards"
    (single,) = evaluate(ranker(store), [task])
    (path, *_) = shards(store)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes(40))
    seen = Seen()
    assert ShardedRun(ranker(store), [task], folder, 1).go_on(1, seen) is None
    assert [line for line in seen.notes if "had 1 damaged shard for this encoder" in line]
    refuse_differences(single, merge_shards(folder, [task])[0], tmp_path / "compared")
    assert path.read_bytes() == whole  # in the batches that it was made in


def test_vectors_of_an_encoder_that_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, store = task_of("mini", limit=5), VectorStore(tmp_path / "store")
    evaluate(ranker(store), [task])
    changed = ranker(store)
    call = changed.encoder.call  # type: ignore[attr-defined]
    monkeypatch.setattr(changed.encoder, "call", lambda role, texts: np.asarray(call(role, texts)) * 3)
    seen = Seen()
    assert ShardedRun(changed, [task], tmp_path / "shards", 1).go_on(1, seen) is None
    assert any("are removed and encoded again" in line for line in seen.notes)
    assert texts_of(merge_shards(tmp_path / "shards", [task])[0])[1] == 0


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    task, place = task_of("mini", limit=5), tmp_path / "store"
    place.write_text("no folder")
    (single,) = evaluate(ranker(None), [task])
    seen, folder = Seen(), tmp_path / "shards"
    work = ShardedRun(ranker(VectorStore(place)), [task], folder, 1)
    assert work.go_on(1, seen) is None
    assert any("goes on without the embedding store" in line for line in seen.notes)
    refuse_differences(single, merge_shards(folder, [task])[0], tmp_path / "compared")


def test_with_and_without_a_store_are_two_runs(tmp_path: Path) -> None:
    task, folder = task_of("mini", limit=5), tmp_path / "shards"
    ShardedRun(ranker(VectorStore(tmp_path / "store")), [task], folder, 2).go_on(1)
    with pytest.raises(RecordError, match="embedding store: used there, not used here"):
        ShardedRun(ranker(None), [task], folder, 2).go_on(2)


def test_another_store_has_vectors_of_an_encoder_that_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines with a store each: the one that does not plan has files of the very names that are planned."""
    task = task_of("mini", limit=3)
    stores = [VectorStore(tmp_path / name) for name in ("one", "two")]

    def made(folder: Path, times: float, seen: Seen) -> Result:
        for number in (1, 2, 1, 2, 1):
            of_machine = ranker(stores[number - 1])
            call = of_machine.encoder.call  # type: ignore[attr-defined]
            changed = partial(lambda call, *given: np.asarray(call(*given)) * times, call)
            monkeypatch.setattr(of_machine.encoder, "call", changed)
            ShardedRun(of_machine, [task], folder, 2).go_on(number, seen)
        return merge_shards(folder, [task])[0]

    made(tmp_path / "before", 1, Seen())
    shutil.rmtree(stores[0].folder)
    seen = Seen()
    made(tmp_path / "after", 3, seen)
    assert len([line for line in seen.notes if "are removed and encoded again" in line]) == 1
    files = list((tmp_path / "after").glob("*.f32"))
    assert len(files) == 2
    first = np.concatenate([np.fromfile(path, "<f4").reshape(-1, 3)[:, 0] for path in files])
    assert (first % 3 == 0).all()  # letters and one, times 3: none is of the encoder as it was


def test_a_plan_that_another_run_left(tmp_path: Path) -> None:
    """It was killed before it had encoded anything, and had counted no tokens."""
    task, folder = task_of("mini", limit=5), tmp_path / "shards"
    in_shards(VectorStore(tmp_path / "store"), [task], folder, 1)
    for path in folder.glob("1-of-1.*"):
        path.unlink()
    with pytest.raises(RecordError, match=r"plan/texts is a shard of another run\n.*store: used there, not used here"):
        ShardedRun(ranker(None), [task], folder, 1).go_on(1)
    with pytest.raises(RecordError, match=r"plan/texts is a shard of another run\n.*shards: 1 there, 2 here"):
        ShardedRun(ranker(VectorStore(tmp_path / "store")), [task], folder, 2).go_on(1)


def test_what_others_leave_in_the_store_is_worth_waiting_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, waiting = VectorStore(tmp_path / "store"), Waiting("encoded", (2,))
    work = ShardedRun(ranker(store), [task_of("mini", limit=2)], tmp_path / "shards", 2)
    assert work.go_on(1) == waiting
    (kept, *_) = shards(store)
    calls = []

    def encoded_meanwhile(number: int, observe: object = None) -> Waiting:
        calls.append(number)
        if len(calls) <= 6:
            shutil.copy(kept, kept.with_name(f"{len(calls)}{kept.name}"))
        return waiting

    monkeypatch.setattr(work, "go_on", encoded_meanwhile)
    assert work.wait(1, 0.01) == waiting  # a look takes .05 s
    assert len(calls) > 6


def test_a_plan_that_is_gone(tmp_path: Path) -> None:
    task, store, folder = task_of("mini", limit=5), VectorStore(tmp_path / "store"), tmp_path / "shards"
    in_shards(store, [task], folder, 2)
    (folder / "plan" / "texts").unlink()
    with pytest.raises(RecordError, match=r"1-of-2\.encoded was made from a file that is gone\n.*plan/texts"):
        merge_shards(folder, [task])
    assert texts_of(in_shards(store, [task], folder, 2)[0])[1] > 0  # made again, from a store that has all


def test_shards_share_the_store_and_a_single_run_waits_for_them(tmp_path: Path) -> None:
    from xqr_bench.encode.shards import encoder_key, key_digest

    task, store = task_of("mini", limit=5), VectorStore(tmp_path / "store")
    held = key_digest(encoder_key(ranker(None).encoder, "query"))  # type: ignore[arg-type]
    inside, go = threading.Event(), threading.Event()

    class Waits(Seen):
        def advance(self, steps: int, status: str = "") -> None:
            inside.set()
            go.wait(60)

    first = threading.Thread(target=ShardedRun(ranker(store), [task], tmp_path / "shards", 2).encode, args=(1, Waits()))
    first.start()
    assert inside.wait(60)
    try:
        ShardedRun(ranker(store), [task], tmp_path / "shards", 2).encode(2)  # does not wait
        with locked(store.shelves, held) as alone:
            assert not alone  # so `cache clear` leaves it, and a single run waits
    finally:
        go.set()
        first.join(60)
    with locked(store.shelves, held) as alone:
        assert alone
    with locked(store.shelves, held):
        seen = Seen()
        waits = ShardedRun(ranker(store), [task], tmp_path / "others", 1)
        second = threading.Thread(target=waits.encode, args=(1, seen))
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(60)
    assert not second.is_alive()
    assert seen.notes == ["waiting for another run that is encoding with sensitive.py:Sensitive"]


def test_the_command_leaves_what_a_single_run_takes(tmp_path: Path, log: Log) -> None:  # noqa: F811
    told: list[Any] = [f"{SENSITIVE}:Sensitive", "--limit", "4", "--cache-dir", str(tmp_path / "store"), "--output"]
    codes = [run("evaluate", *told, str(tmp_path / "shards"), "--shard", f"{one}/2").code for one in (1, 2, 1, 2)]
    assert codes == [75, 75, 0, 0]
    log()
    done = run("evaluate", *told, str(tmp_path / "alone"), "--json")
    (record,) = json.loads(done.out)
    assert record["provenance"]["texts"]["from_store"] == record["provenance"]["texts"]["distinct"]
    assert contents(tmp_path / "shards")
