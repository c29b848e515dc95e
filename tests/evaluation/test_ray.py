"""Workers and an encoder on a cluster of three Ray nodes on this machine; skipped where Ray is not installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.evaluation.test_shards import refuse_differences
from tests.kit import contents, edit
from xqr_bench.core.errors import EncoderError, EngineError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.encode import EncoderOptions, load_encoder, vector_store
from xqr_bench.evaluation import ray_workers as module
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.ray_ranker import _Heard, _Shown, ray_ranker
from xqr_bench.evaluation.ray_workers import RayOptions, RayWorkers, one_worker_each, ray_workers
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.record import Result

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'xqr-bench[ray]'")

STORE = 80 * 2**20


class Notes(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


# What workers do.


def shard(item: object) -> str:
    return f"shard {item}"


def nothing() -> None:
    return None


def square(held: object, number: int) -> int:
    time.sleep(0.05)
    return number * number


def meet(held: object, folder: str) -> str:
    """The machine, once a worker on each of three has come."""
    machine: str = ray.get_runtime_context().get_node_id()
    (Path(folder) / machine).touch()
    while len(list(Path(folder).iterdir())) < 3:
        time.sleep(0.05)
    return machine


def see(held: object, folder: str) -> str:
    """The GPU that a worker sees, once another one has come."""
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.05)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def refuse_three(held: object, number: int) -> int:
    if number == 3:
        raise EncoderError("the text is bad", found="a text", remedy="change it")
    return number


class OddError(Exception):
    """One that cannot be carried to another process."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"odd {one + two}\nand more")


def odd(held: object, number: int) -> None:
    raise OddError(1, number)


def die_once(held: object, number: tuple[int, str]) -> int:
    if number[0] == 2 and not Path(number[1]).exists():
        Path(number[1]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number[0]


def die(held: object, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def cannot_load() -> None:
    raise EncoderError("there is no such model", remedy="name another")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=STORE)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def options(cluster: Any) -> RayOptions:
    return RayOptions(address=cluster.address, actors=3, num_cpus=0.6)


@pytest.fixture(scope="class")
def workers(cluster: Any) -> Iterator[RayWorkers]:
    with ray_workers(RayOptions(address=cluster.address, actors=3, num_cpus=0.6), nothing, Notes()) as workers:
        yield workers


class TestWorkers:
    """Three of them, each on a machine of its own, for all of these tests."""

    def test_every_item_is_done_once(self, workers: RayWorkers, tmp_path: Path) -> None:
        assert dict(workers.map(square, range(12), shard)) == {number: number**2 for number in range(12)}
        machines = dict(workers.map(meet, [str(tmp_path)] * 3, shard))
        assert len(set(machines.values())) == 3

    def test_what_fails_names_machine_and_item(self, workers: RayWorkers) -> None:
        with pytest.raises(EngineError, match="the text is bad") as ours:
            dict(workers.map(refuse_three, range(8), shard))
        assert ours.value.remedy == "change it"
        assert ours.value.found is not None
        assert ours.value.found.startswith("a text; worker on ")
        assert ours.value.found.endswith(", shard 3")
        with pytest.raises(EngineError) as others:
            dict(workers.map(odd, [2], shard))
        assert "OddError: odd 3 (" in str(others.value)
        assert "and more" not in str(others.value)
        # what was under way is not taken for something else
        assert dict(workers.map(square, range(4), shard)) == {number: number**2 for number in range(4)}

    def test_a_worker_that_dies_is_replaced(self, workers: RayWorkers, tmp_path: Path) -> None:
        workers.observe = told = Notes()
        items = [(number, str(tmp_path / "died")) for number in range(6)]
        assert dict(workers.map(die_once, items, shard)) == {number: number for number in range(6)}
        (line,) = told.lines
        assert re.fullmatch(r"the worker on \S+ \(process \d+\) died: shard \(2, .*\) goes to another one", line)
        with pytest.raises(EngineError, match="shard 0 took 3 workers down") as error:
            dict(workers.map(die, [0], shard))
        assert "--batch-size" in str(error.value)


def test_a_cluster_without_room_is_an_error(options: RayOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 3.0)
    notes = Notes()
    large = RayOptions(address=options.address, actors=1, num_cpus=2)
    with (
        pytest.raises(EngineError, match="no worker has started on the Ray cluster in") as error,
        ray_workers(large, nothing, notes) as two,
    ):
        dict(two.map(square, [1], shard))
    assert error.value.found == (
        "a worker asks for 2 CPUs and 0 GPUs; 3 machines with 1 CPUs and 0 GPUs, of which 3 CPUs and 0 GPUs in all are "
        "free"
    )
    assert notes.lines == [f"no worker has started on the Ray cluster; waiting up to 3 s: {error.value.found}"]


def test_more_workers_than_fit_are_fewer(options: RayOptions) -> None:
    notes = Notes()
    more = RayOptions(address=options.address, actors=5, num_cpus=0.6)
    with ray_workers(more, nothing, notes) as workers:
        assert len(dict(workers.map(square, range(2), shard))) == 2
    assert notes.lines[0].startswith("the Ray cluster has room for 3 of 5 workers (a worker asks for 0.6 CPUs")


def test_a_cluster_that_is_not_there() -> None:
    for address, says in (("ray://127.0.0.1:10001", "Ray's client"), ("127.0.0.1:9", "cannot be reached")):
        with pytest.raises(EngineError, match=says), ray_workers(RayOptions(address=address), nothing, Notes()):
            pass


def test_each_gpu_has_one_worker(tmp_path: Path) -> None:
    """Of a machine that says it had two; Ray numbers them, and nothing looks for them."""
    from ray.cluster_utils import Cluster

    two = {"num_cpus": 4, "num_gpus": 2, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=two)
    try:
        with ray_workers(RayOptions(address=cluster.address), nothing, Notes()) as workers:
            assert workers.number == 2
            seen = dict(workers.map(see, [str(tmp_path)] * 2, shard))
        assert sorted(seen.values()) == ["0", "1"]
    finally:
        cluster.shutdown()


def test_devices_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    free = RayOptions()
    for device in (None, "cuda", "mps"):
        assert one_worker_each(free, device) == (free, device)
    assert one_worker_each(free, "cpu") == (RayOptions(num_gpus=0.0), "cpu")
    two = RayOptions(actors=2, num_gpus=0.0, devices=("cpu", "cpu"))
    assert one_worker_each(free, "cpu,cpu") == (two, "cpu")
    monkeypatch.setattr(module, "choose_device", lambda device: device)
    gpus, kind = one_worker_each(free, "cuda:2,cuda:0")
    assert (gpus, kind) == (RayOptions(actors=2, num_gpus=1.0, devices=("cuda:2", "cuda:0")), "cuda")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert module._seen(gpus) == {"CUDA_VISIBLE_DEVICES": "2,0"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6,7")
    assert module._seen(gpus) == {"CUDA_VISIBLE_DEVICES": "7,5"}
    assert module._seen(two) == {}


@pytest.mark.parametrize(
    ("asked", "device", "said"),
    [
        (RayOptions(), "cuda:0,cpu", "does not name several devices of one kind"),
        (RayOptions(), "cuda:77,cuda:78", "there is no device 'cuda:77' here"),
        (RayOptions(address="auto"), "cuda:0,cuda:1", "and the workers are those of the Ray cluster at auto"),
        (RayOptions(actors=3), "cpu,cpu", "--device cpu,cpu and --actors 3 ask for different numbers of workers"),
        (RayOptions(num_gpus=0.5), "cuda:0,cuda:1", "gives each worker 1 GPUs, and --num-gpus 0.5 something else"),
        (RayOptions(), "mps:0", "deals out processors and CUDA's GPUs"),
    ],
)
def test_devices_that_cannot_be_dealt_out(asked: RayOptions, device: str, said: str) -> None:
    with pytest.raises((UsageError, EncoderError), match=said):
        one_worker_each(asked, device)


# An encoder on the workers.


@pytest.fixture(scope="module")
def single() -> Result:
    return evaluate("char-ngrams", ["mini"])[0]


class Phases(Notes):
    """Keeps what is done of each phase."""

    def __init__(self) -> None:
        super().__init__()
        self.done: dict[str, list[int]] = {}

    def start(self, phase: str, total: int | None = None) -> None:
        self.lines.append(f"{phase} {total}")
        self.done.pop(phase, None)  # so that it stands last
        self.done[phase] = []

    def advance(self, steps: int, status: str = "") -> None:
        self.done[next(reversed(self.done))].append(steps)


def test_a_model_whose_tokens_are_counted(options: RayOptions, model: Path, tmp_path: Path) -> None:
    """Its vectors are left in the store, and taken from there by another run and by a single one."""
    asked, store = EncoderOptions(device="cpu"), vector_store(tmp_path / "store")
    (single,) = evaluate(VectorRanker(load_encoder(str(model), asked)), ["mini"])
    assert single.provenance.texts is not None
    distinct, told = single.provenance.texts.distinct, Phases()
    queries = sum(of.queries for of in single.task.counts.values())
    with ray_ranker(str(model), asked, replace(options, actors=2), observe=told) as ranker:
        for stored in (0, distinct):
            told.lines.clear()
            (made,) = evaluate(replace(ranker, store=store), ["mini"], observe=told)
            refuse_differences(made, single, tmp_path / "compared")
            assert made.provenance.texts == single.provenance.texts.model_copy(update={"from_store": stored})
            assert [line for line in told.lines if not line.startswith(("loading", "merging"))][:4] == [
                f"measuring {distinct}",
                f"encoding {distinct}",
                f"finding relevants {queries}",
                f"counting {queries}",
            ]
            assert sum(told.done["encoding"]) == sum(told.done["measuring"]) == distinct
            assert sum(told.done["counting"]) == sum(told.done["finding relevants"]) == queries
            assert not list((tmp_path / "store" / "runs").glob("*"))
    (after,) = evaluate(VectorRanker(load_encoder(str(model), asked), store=store), ["mini"])
    refuse_differences(after, single, tmp_path / "compared")
    assert after.provenance.texts == made.provenance.texts


def test_the_record_is_that_of_a_single_run(options: RayOptions, single: Result, tmp_path: Path) -> None:
    told = Notes()
    with ray_ranker("char-ngrams", None, options, observe=told) as ranker:
        assert (ranker.name, ranker.identity.dimensions) == ("char-ngrams", None)
        made = evaluate(replace(ranker, store=vector_store(tmp_path / "store")), ["mini"], observe=told)[0]
    refuse_differences(made, single, tmp_path)
    assert made.provenance.settings.pop("shards") == 12
    assert made.provenance.settings == single.provenance.settings
    assert told.lines == []
    assert contents(tmp_path / "store") == {}  # a run that has succeeded leaves nothing there


def test_what_cannot_be_dealt_out(options: RayOptions) -> None:
    one = replace(options, actors=1)
    with pytest.raises(EngineError, match="--engine ray deals out"), ray_ranker("bm25", None, one):
        pass
    with pytest.raises(EngineError, match="nothing-here"), ray_ranker("precomputed:nothing-here", None, one):
        pass


def test_a_folder_that_not_all_see(options: RayOptions, tmp_path: Path) -> None:
    own = f"memory://{uuid4().hex}"  # each process has its own
    with (
        ray_ranker("char-ngrams", None, options, exchange=own) as ranker,
        pytest.raises(EngineError, match="--exchange"),
    ):
        evaluate(ranker, ["mini"])


def test_a_machine_that_is_killed_is_done_without(
    cluster: Any, options: RayOptions, single: Result, tmp_path: Path
) -> None:
    """The last one: two machines are left."""

    class Killing(Notes):
        killed = False

        def advance(self, steps: int, status: str = "") -> None:
            for node in [] if self.killed else cluster.worker_nodes:
                if busy_below(ranker.workers) & {process.process.pid for process in node.all_processes["raylet"]}:
                    cluster.remove_node(node, allow_graceful=False)
                    self.killed = True
                    return

    told = Killing()
    with ray_ranker("char-ngrams", None, options, observe=told) as ranker:
        made = evaluate(replace(ranker, store=vector_store(tmp_path / "store")), ["mini"], observe=told)[0]
    refuse_differences(made, single, tmp_path)
    assert told.killed
    assert [line for line in told.lines if "died: shard " in line]


def busy_below(workers: RayWorkers) -> set[int]:
    """The processes that have started the workers which do something."""
    busy = [member for member in workers._waited_for.values() if member.item is not None]
    pids = [member.where.partition("process ")[2].rstrip(")") for member in busy]
    return {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in pids}


def test_more_devices_than_there_is_room_for() -> None:
    """Behind those of the cluster: Ray keeps the token of one that it has started until the process ends."""
    many = RayOptions(actors=2, num_gpus=0.0, num_cpus=5000, devices=("cpu", "cpu"))
    with (
        pytest.raises(EngineError, match="no room for 2 workers, one on each of cpu, cpu"),
        ray_workers(many, nothing, Notes()),
    ):
        pass


def test_named_devices_make_the_record_of_one(model: Path, tmp_path: Path) -> None:
    (one,) = evaluate(str(model), ["mini"], options=EncoderOptions(device="cpu"))
    told = Notes()
    with ray_ranker(str(model), EncoderOptions(device="cpu,cpu"), RayOptions(num_cpus=0.5), observe=told) as ranker:
        assert ranker.workers.number == 2
        (made,) = evaluate(ranker, ["mini"], observe=told)
    refuse_differences(made, one, tmp_path)
    assert made.provenance.settings["shards"] == 8
    assert told.lines == []


def test_progress_counts_texts_and_queries_once() -> None:
    class Shown(Notes):
        def advance(self, steps: int, status: str = "") -> None:
            self.lines.append(str(steps))

    told = Shown()
    encoding = _Shown(told, "encoding", 100, 1)
    encoding.hear(_Heard(1, (), {"measuring": 7}))
    encoding.hear(_Heard(1, ("a line",), {"encoding": 30}))
    encoding.hear(_Heard(2, (), {"encoding": 10}))
    encoding.hear(_Heard(1, ("a line", "another"), {"encoding": 35}))
    encoding.hear(_Heard(1, ("a line",), {"encoding": 4}))  # another worker goes on, after one that died
    encoding.hear(_Heard(1, ("a line",), {"encoding": 60}))
    encoding.hear(_Heard(2, (), {"encoding": 90}))  # more than there are is not shown
    assert told.lines == ["a line", "30", "10", "another", "5", "25", "30"]
    told.lines.clear()
    counting = _Shown(told, "ranking", 10, 4)  # each of four goes through all queries
    for number in range(1, 5):
        counting.hear(_Heard(number, (), {"ranking": 10}))
    assert told.lines == ["2", "3", "2", "3"]


ENCODER = """
import os
from pathlib import Path
import time
import numpy as np

class Slow:
    revision = "1"

    def encode(self, texts):
        time.sleep(.1)
        with Path({log!r}).open("a") as log:
            log.write("".join(f"{{text!r}}\\n" for text in texts))
        draws = [np.random.Generator(np.random.PCG64(list(text.encode()))) for text in texts]
        return np.stack([draw.standard_normal(16) for draw in draws])
"""


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_nothing_and_is_gone_on_with(tmp_path: Path) -> None:
    """The whole command, on a Ray of its own: stopped by Ctrl-C, then killed, then left alone."""
    home, temporary, log = tmp_path / "home", Path(f"/tmp/{os.getpid()}"), tmp_path / "encoded"
    home.mkdir()
    temporary.mkdir()  # Ray's sockets need short paths
    log.touch()
    (tmp_path / "slow.py").write_text(ENCODER.format(log=str(log)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary), "XQR_BENCH_CACHE": str(tmp_path / "store")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "xqr_bench", "evaluate", "slow.py:Slow", "--batch-size", "8"]
    engine = ["--engine", "ray", "--actors", "1", "--num-cpus", "0.5"]

    def started(*more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path, text=True
        )

    def encoded() -> list[str]:
        return log.read_text().splitlines()

    try:
        for sent, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
            before = len(encoded())
            with started(*engine) as driver:
                while len(encoded()) < before + 100 and driver.poll() is None:
                    time.sleep(0.05)
                driver.send_signal(sent)
                _, said = driver.communicate()
            assert driver.returncode == code, said
            if sent == signal.SIGINT:
                assert "the same command goes on" in said
            deadline = time.monotonic() + 120
            while workers_below(temporary) and time.monotonic() < deadline:
                time.sleep(0.2)
            assert not workers_below(temporary)
        with started(*engine, "--output", "many") as driver:
            _, said = driver.communicate()
        assert driver.returncode == 0, said
        before, distinct = len(encoded()), len(set(encoded()))
        with started(*engine, "--output", "again") as driver:  # encodes what shows that the store's vectors are its own
            _, said = driver.communicate()
        assert driver.returncode == 0, said
        checked = len(encoded()) - before
        assert before - distinct - checked < 100  # those under way, of the 200 and more that were done before
        with started("--no-cache", "--output", "one") as driver:
            _, said = driver.communicate()
        assert driver.returncode == 0, said
        for path in (tmp_path / "one").rglob("*.json"):
            edit(path, lambda record: record.pop("provenance"))
            edit(tmp_path / "many" / path.relative_to(tmp_path / "one"), lambda record: record.pop("provenance"))
        assert contents(tmp_path / "one") == contents(tmp_path / "many")
        assert list(home.rglob("*")) == []
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def workers_below(folder: Path) -> list[str]:
    """Workers and the processes that start them, of the Ray whose files are in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if (command.startswith("ray::_Worker") and str(folder) in environment) or str(folder) in command:
            found.append(command)
    return found
