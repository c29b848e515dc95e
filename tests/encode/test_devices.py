"""Several devices: the vectors and the store of one, a clear end of each failure, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.failing import failing
from tests.encode.store.conftest import same, shards, task_of
from tests.kit import ROOT, ran, run, words
from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError
from xqr_bench.encode import EncoderOptions, VectorStore, embed_tasks, load_encoder
from xqr_bench.encode.bound import Lanes
from xqr_bench.encode.devices import Devices, devices_of
from xqr_bench.encode.hardware import DEVICE_LANES
from xqr_bench.encode.sentence_transformer import bind_instance


def load_from(folder: str, device: str) -> Any:
    return load_encoder(folder, EncoderOptions(device=device))


def here(role: str, texts: list[str]) -> np.ndarray:
    return np.zeros((len(texts), 2))


@pytest.fixture
def devices() -> Iterator[Devices]:
    """Two, of which the second is free."""
    made = Devices(("cpu", "cpu"), here, failing)
    made._free.get()  # the first is at work
    yield made
    made.stop()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Each of two devices has one thread on two cores; so has a batch on one device."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def embedded(model: Path, device: str, store: VectorStore, batch: int = 4) -> tuple[Any, Any]:
    bound = load_encoder(str(model), EncoderOptions(device=device, batch_size=batch))
    return bound, embed_tasks(bound, [task_of(0, 120)], store=store)["toy"]


@pytest.mark.usefixtures("one_thread")
def test_vectors_and_store_are_those_of_one_device(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xqr_bench.encode.devices.usable_cores", lambda: 2)
    on: list[int] = []
    there = Devices._there
    monkeypatch.setattr(Devices, "_there", lambda self, number, *a: (on.append(number), there(self, number, *a))[1])
    alone = VectorStore(tmp_path / "one", shard_texts=12)
    together = VectorStore(tmp_path / "two", shard_texts=12)
    _, expected = embedded(model, "cpu", alone)
    bound, found = embedded(model, "cpu,cpu", together)
    assert bound.device == "cpu,cpu"
    assert same(found, expected)
    assert len(on) > 5  # of some 30 batches
    first, second = ([path.read_bytes() for path in shards(store)] for store in (alone, together))
    assert len(first) > 5
    assert first == second
    _, again = embedded(model, "cpu", together)  # and either takes what the other kept
    assert again.stored_texts == again.distinct_texts
    pools = list(bound._devices._pools.values())
    processes = [process for pool in pools for process in pool._processes.values()]
    bound.close()
    assert processes
    assert not any(process.is_alive() for process in processes)


def test_the_record_is_that_of_one_device(model: Path, tmp_path: Path) -> None:
    from xqr_bench import load_record

    arguments = ["evaluate", str(model), "--no-cache", "--output"]
    ran(*arguments, str(tmp_path / "one"), "--device", "cpu")
    told = ran(*arguments, str(tmp_path / "two"), "--device", "cpu,cpu").err
    assert "encoder tiny on cpu,cpu" in words(told)
    one, two = (load_record(next((tmp_path / name).rglob("*.json"))) for name in ("one", "two"))
    assert one.scores == two.scores
    assert two.provenance.hardware["device"] == "cpu,cpu"


def test_a_failure_there_is_told_with_its_device(devices: Devices) -> None:
    with pytest.raises(RuntimeError, match=r"on cpu: ValueError: no such word"):
        devices.call("query", ["fail"])
    with pytest.raises(RuntimeError, match=r"out of memory"):  # halved by whoever called
        devices.call("query", ["large", "x"])
    there = devices.call("query", ["large"])
    assert there[0, 1] == 5
    assert there[0, 0] != os.getpid()


def test_a_process_that_dies_is_one_error(devices: Devices) -> None:
    process = int(devices.call("query", ["a"])[0, 0])
    threading.Timer(1.0, os.kill, (process, signal.SIGKILL)).start()
    with pytest.raises(EncoderError, match=r"process that encoded on cpu ended\n  found: it was killed"):
        devices.call("query", ["sleep"])


def test_what_was_done_before_a_process_died_is_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VectorStore(tmp_path / "store", shard_texts=12)
    there, calls = Devices._there, []

    def dies(self: Devices, number: int, *rest: Any) -> Any:
        calls.append(number)
        if len(calls) > 8:
            for process in self._pool(number)._processes.values():
                process.kill()
        return there(self, number, *rest)

    monkeypatch.setattr(Devices, "_there", dies)
    with pytest.raises(EncoderError, match=r"on cpu ended(.|\n)*texts encoded before are kept"):
        embedded(model, "cpu,cpu", store)
    kept = len(shards(store))
    assert kept
    monkeypatch.setattr(Devices, "_there", there)
    _, found = embedded(model, "cpu,cpu", store)
    assert found.stored_texts > 0


def test_a_model_that_cannot_be_loaded_there(tmp_path: Path) -> None:
    made = Devices(("cpu", "cpu"), here, partial(load_from, str(tmp_path)))
    made._free.get()
    with pytest.raises(EncoderError, match="holds no model"):
        made.call("query", ["a"])
    made.stop()


CHILD = """
from tests.encode.failing import failing
from tests.encode.test_devices import Devices, here
if __name__ == "__main__":
    made = Devices(("cpu", "cpu"), here, failing)
    made._free.get()
    print(int(made.call("query", ["a"])[0, 0]), flush=True)
    try:
        made.lanes.map(lambda texts: made.call("query", texts), [["sleep"]] * 2).__next__()
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    program = tmp_path / "program.py"
    program.write_text(CHILD)
    child = subprocess.Popen(
        [sys.executable, str(program)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process = int(child.stdout.readline())
    time.sleep(0.5)
    child.send_signal(how)
    out, err = child.communicate(timeout=30)
    assert "Traceback" not in err
    if how == signal.SIGINT:
        assert "stopped" in out
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{process}").exists():
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:7", "there is no device 'cuda:7' here"),
        ("cpu,cpu:x", "there is no device|kind"),
        ("cuda:6,cuda:7", "there is no device 'cuda:6' here"),
        ("cuda:0,cpu", "does not name several devices of one kind"),
        ("cpu,", "does not name several devices of one kind"),
        ("cuda,cuda:0", "names a device twice"),
    ],
)
def test_devices_that_are_not_there(model: Path, device: str, message: str) -> None:
    with pytest.raises(XqrBenchError, match=message):
        load_encoder(str(model), EncoderOptions(device=device))
    failed = run("evaluate", str(model), "--device", device)
    assert failed.code == 2 or failed.code == 1
    assert "Traceback" not in failed.err


def test_one_device_stays_one() -> None:
    assert devices_of(None) == (None,)
    assert devices_of("cuda:1") == ("cuda:1",)
    assert devices_of("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    with pytest.raises(UsageError, match=r"cannot be used with|cannot encode"):
        load_encoder("char-ngrams", EncoderOptions(device="cpu,cpu"))


def test_on_a_gpu_batches_overlap(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one: how many batches are under way, and that so many give the vectors of one after the other."""
    import torch
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(model), device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(SentenceTransformer, "device", property(lambda _: torch.device("cuda:0")))
        bound = bind_instance(loaded, EncoderOptions(batch_size=4))
    assert bound.lanes.number == DEVICE_LANES > 1
    beside = embed_tasks(bound, [task_of(0, 120)])["toy"]
    bound.lanes = Lanes(1)
    alone = embed_tasks(bound, [task_of(0, 120)])["toy"]
    # batches beside each other share the processor's threads: the last bits of a product may differ
    for side in ("queries", "candidates"):
        np.testing.assert_allclose(getattr(beside, side), getattr(alone, side), rtol=1e-5, atol=1e-5)
