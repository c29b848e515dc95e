"""Killed at any moment, a run goes on where it was and ends with the bytes it would have had.

The last column of the toy's vectors depends on the batch, so a text that is encoded in another batch shows.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.encode.store.conftest import SHARD, embed, shards, task_of
from tests.kit import ROOT
from xqr_bench.encode import VectorStore
from xqr_bench.encode.shards import open_shard
from xqr_bench.encode.store import locked, shared
from xqr_bench.encode.stored import WITNESSES

TEXTS = 240
SECONDS = 0.004  # for each text


MOST_WITNESSES = 1 + WITNESSES
"""One query, and of the candidates."""


def start(store: VectorStore, out: Path, log: Path, encoder: str = "TwoWays") -> subprocess.Popen[str]:
    """Begin a run, and return when it begins to encode."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.encode.store.child", str(store.folder), str(out), encoder, "0", str(TEXTS)],
        cwd=ROOT,
        env={**os.environ, "XQR_TOY_LOG": str(log), "XQR_TOY_SECONDS": str(SECONDS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "begins\n"
    return child


def finish(store: VectorStore, out: Path, log: Path, encoder: str = "TwoWays") -> dict[str, np.ndarray]:
    child = start(store, out, log, encoder)
    child.communicate()
    assert child.returncode == 0
    with np.load(out) as found:
        return dict(found)


def encoded(log: Path) -> int:
    """Texts given to the encoder, witnesses included."""
    return sum(len(json.loads(line)) for line in log.read_text("utf-8").splitlines()) if log.exists() else 0


def kept(store: VectorStore) -> int:
    """Texts whose vectors are in the store, each shard verified."""
    number = 0
    for path in shards(store):
        shard = open_shard(path, path.parents[1].name)
        shard.read()
        number += len(shard.digests)
    return number


def kill_and_go_on(
    store: VectorStore, folder: Path, expected: dict[str, np.ndarray], delays: list[float], lanes: int = 1
) -> None:
    """Kill a run at each of these delays after it began to encode, then let it finish, and compare."""
    had = kept(store)
    for number, delay in enumerate(delays):
        log = folder / f"{number}.jsonl"
        child = start(store, folder / "out.npz", log)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        have = kept(store)
        lost = encoded(log) - (have - had)
        # a shard, the witnesses, and what is under way: the log knows it before the encoder returns
        assert lost <= SHARD + MOST_WITNESSES + 4 * (1 if lanes == 1 else lanes + 1)
        had = have
    found = finish(store, folder / "out.npz", folder / "last.jsonl")
    assert found["queries"].tobytes() == expected["queries"].tobytes()
    assert found["candidates"].tobytes() == expected["candidates"].tobytes()
    assert int(found["stored"]) == had
    assert encoded(folder / "last.jsonl") <= TEXTS + 1 - had + MOST_WITNESSES
    assert not list(store.folder.rglob("*.tmp"))  # what a kill left half-written is gone


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("undisturbed")
    store = VectorStore(folder / "cache", shard_texts=SHARD)
    return finish(store, folder / "out.npz", folder / "log.jsonl")


@pytest.mark.parametrize("lanes", [1, 2])
def test_killed_three_times(
    lanes: int,
    undisturbed: dict[str, np.ndarray],
    store: VectorStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XQR_TOY_LANES", str(lanes))  # of the processes that are started
    chance = random.Random(lanes)
    delays = [round(chance.uniform(0, TEXTS * SECONDS / 2 / lanes), 3) for _ in range(3)]
    kill_and_go_on(store, tmp_path, undisturbed, delays, lanes)


@pytest.mark.slow
@pytest.mark.parametrize("point", range(20))
def test_killed_at_a_random_point(
    point: int, undisturbed: dict[str, np.ndarray], store: VectorStore, tmp_path: Path
) -> None:
    delay = random.Random(point).uniform(0, TEXTS * SECONDS * 1.2)
    kill_and_go_on(store, tmp_path, undisturbed, [delay])


@pytest.mark.parametrize("crash", ["before the plan", "in the plan", "in a shard", "between shards"])
def test_every_kind_of_moment(
    crash: str, undisturbed: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in this process, at moments that a clock hits rarely."""
    from xqr_bench.core.files import atomic_path
    from xqr_bench.encode import shards as plans
    from xqr_bench.encode import store as shelf

    class Killed(BaseException):
        """Passes every handler but `finally`."""

    def killed(*args: object, **more: object) -> None:
        raise Killed

    plain = embed(VectorStore(tmp_path / "plain", shard_texts=SHARD), task_of(0, 100))
    store = VectorStore(tmp_path / "cache", shard_texts=SHARD)
    with monkeypatch.context() as patch:
        if crash == "before the plan":
            patch.setattr(shelf.Shelf, "plan", killed)
        elif crash == "in the plan":
            patch.setattr(plans, "write_text", killed)
        elif crash == "in a shard":

            def torn(path: Path, key: str, digests: list[bytes], vectors: np.ndarray, flags: np.ndarray) -> None:
                if len(shards(store)) == 3:
                    with atomic_path(path) as temporary:
                        shutil.copy(temporary, path.with_name(".left-behind.tmp"))
                        raise Killed
                original(path, key, digests, vectors, flags)

            original = shelf.write_shard
            patch.setattr(shelf, "write_shard", torn)
        else:
            keep = shelf.write_shard
            patch.setattr(shelf, "write_shard", lambda *args: killed() if len(shards(store)) == 2 else keep(*args))
        with pytest.raises(Killed):
            embed(store, task_of(0, 100))
    again = embed(store, task_of(0, 100))
    assert not list(store.folder.rglob("*.tmp"))
    assert again.candidates.tobytes() == plain.candidates.tobytes()
    assert again.queries.tobytes() == plain.queries.tobytes()


def test_two_processes_at_once(store: VectorStore, tmp_path: Path) -> None:
    """The second waits for the first and encodes nothing but the witnesses."""
    runs = [start(store, tmp_path / f"{i}.npz", tmp_path / f"{i}.jsonl") for i in range(2)]
    for run in runs:
        run.communicate()
        assert run.returncode == 0
    found = [dict(np.load(tmp_path / f"{i}.npz")) for i in range(2)]
    assert found[0]["candidates"].tobytes() == found[1]["candidates"].tobytes()
    assert kept(store) == TEXTS + 1
    total = encoded(tmp_path / "0.jsonl") + encoded(tmp_path / "1.jsonl")
    assert total <= TEXTS + 1 + MOST_WITNESSES


def test_what_waits_is_told(store: VectorStore, tmp_path: Path) -> None:
    import threading

    from tests.encode.store.conftest import bound
    from xqr_bench.encode.shards import encoder_key, key_digest

    key = key_digest(encoder_key(bound(), "query"))
    told: list[str] = []
    with locked(store.shelves, key) as held:
        assert held
        thread = threading.Thread(target=lambda: embed(store, task_of(0, 5), told=told))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(20)
    assert not thread.is_alive()
    assert told == ["waiting for another run that is encoding with sensitive.py:Sensitive"]


def test_a_lock_that_was_removed_while_it_was_waited_for_is_taken_anew(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "locks" / "a.lock"
    path.parent.mkdir()
    held = path.open("a")
    fcntl.flock(held, fcntl.LOCK_EX)

    def removed() -> None:
        """As some versions of filelock let go of a lock."""
        path.unlink(missing_ok=True)
        held.close()

    with shared(tmp_path, "a", wait=removed), locked(tmp_path, "a") as alone:
        assert not alone
    with locked(tmp_path, "a") as alone:
        assert alone
