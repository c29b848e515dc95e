"""Workers on a Ray cluster: each holds what it works with, such as a loaded encoder, and is handed one item at a time.

Ray starts the workers where there is room, carries items and results between machines and tells which worker died.
What is added here is small: an item of a worker that died goes to another one; a cluster without room is an error,
where Ray waits for ever; and what fails is said in words that name the machine and the item.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from xqr_bench import __version__
from xqr_bench.core.errors import EngineError, UsageError, XqrBenchError, located, pass_on_stops
from xqr_bench.core.observe import Observer
from xqr_bench.encode import choose_device, devices_of

Item = TypeVar("Item")
Output = TypeVar("Output")

ATTEMPTS = 3
"""How many workers an item may take down before it is the item that is at fault."""
PATIENCE = 300.0
"""Seconds without any worker after which a cluster has no room: a cluster that grows by itself has grown by then."""
_LOOK = 1.0
"""Seconds between two looks at a cluster that has said nothing."""
_GIVEN_UP = -1
"""In place of the number of an item: the result of a `map` that was left early, which nobody waits for."""
_TELL = 60.0
"""Seconds without any worker after which it is said what is waited for; where none fits, it is said at once."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How many workers there are, and what each asks the cluster for.

    Attributes:
        address: of a cluster that runs, HOST:PORT, or auto for the one that this machine belongs to; None: that of
            RAY_ADDRESS, else one is started on this machine for as long as the run lasts.
        actors: workers; None: as many as the cluster has room for.
        num_gpus: GPUs of each worker, .5 for two workers on one; None: 1 where the cluster has any, else 0.
        num_cpus: processors of each worker.
        devices: of this machine, a worker each (see `one_worker_each`); empty: whatever Ray finds.

    Raises:
        UsageError: a number that cannot be meant.
    """

    address: str | None = None
    actors: int | None = None
    num_gpus: float | None = None
    num_cpus: float = 1.0
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("num_cpus", 0.01), ("num_gpus", 0.0)):
            value = getattr(self, name)
            if value is not None and (not least <= value < 10_000 or (value > 1 and value != int(value))):
                raise UsageError(
                    f"--{name.replace('_', '-')} cannot be {value:g}",
                    remedy="give a whole number, or a part of one, such as 0.5",
                )
        if self.actors is not None and self.actors < 1:
            raise UsageError(f"there cannot be {self.actors} workers", remedy="give --actors a number from 1 on")


def one_worker_each(ray: RayOptions, device: str | None) -> tuple[RayOptions, str | None]:
    """Workers for the devices that `--device` names, a worker each, and the device as each of them calls its own.

    A worker sees no other GPU than its own. Where a kind alone is named, such as cuda, or nothing, each worker has
    what Ray gives it.

    Raises:
        UsageError: they cannot be meant, belong to a cluster that runs, or other options ask for something else.
        EncoderError: one of them is not on this machine.
    """
    devices = devices_of(device)
    if device is None or (len(devices) == 1 and ":" not in device):
        return (replace(ray, num_gpus=0.0) if device == "cpu" and ray.num_gpus is None else ray), device
    kind, asked = device.partition(":")[0].partition(",")[0], f"--device {device}"
    if kind not in ("cuda", "cpu"):
        raise UsageError(
            f"{asked} cannot be used with --engine ray, which deals out processors and CUDA's GPUs",
            remedy="leave --engine out",
        )
    if address := ray.address or os.environ.get("RAY_ADDRESS"):
        raise UsageError(
            f"{asked} names devices of this machine, and the workers are those of the Ray cluster at {address}",
            remedy="leave --device out: each worker has a GPU of its own where there are any (--num-gpus, --actors)",
        )
    if ray.actors not in (None, len(devices)):
        raise UsageError(
            f"{asked} and --actors {ray.actors} ask for different numbers of workers",
            remedy="leave --actors out: each device has one worker",
        )
    gpus = float(kind == "cuda")
    if ray.num_gpus not in (None, gpus):
        raise UsageError(
            f"{asked} gives each worker {gpus:g} GPUs, and --num-gpus {ray.num_gpus:g} something else",
            remedy="leave --num-gpus or --device out",
        )
    for one in devices:
        choose_device(one)
    return replace(ray, actors=len(devices), num_gpus=gpus, devices=tuple(map(str, devices))), kind


def ray_module() -> Any:
    """Ray.

    Raises:
        EngineError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray sends statistics of what it is used for
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # workers that died are told by us; it prints to stdout
    try:
        import ray
    except ImportError:
        raise EngineError(
            "--engine ray needs Ray, which is not installed", remedy="pip install 'xqr-bench[ray]', on every machine"
        ) from None
    return ray


@dataclass(frozen=True)
class _Done:
    result: Any


@dataclass(frozen=True)
class _Failed:
    """Exceptions of others cannot always be carried to another process; what they say can."""

    problem: str
    found: str | None
    remedy: str | None

    @classmethod
    def of(cls, error: BaseException) -> _Failed:
        if isinstance(error, XqrBenchError):
            return cls(error.problem, error.found, error.remedy)
        remedy = "the same command without --engine, on one machine, shows where it comes from"
        return cls("a worker failed", located(error), remedy)

    def error(self, where: str, item: str) -> EngineError:
        """It as an error here: of the worker `where`, while it did `item`."""
        who = f"worker {where}" + (f", {item}" if item else "")
        return EngineError(self.problem, found=f"{self.found}; {who}" if self.found else who, remedy=self.remedy)


class _Worker:
    """What runs in a process of the cluster."""

    def __init__(self, make: Callable[[], Any], folder: str, gpus: float) -> None:
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides those of other workers from a worker that has one
        with suppress(OSError):
            os.chdir(folder)  # where a relative path means what it means for the driver, if this machine has it
        self._make = make
        self._held: Any = None

    def where(self) -> tuple[str, int, str]:
        return platform.node(), os.getpid(), __version__

    def load(self) -> _Done | _Failed:
        return self._said(lambda: setattr(self, "_held", self._make()))

    def heard(self) -> Any:
        """How far what it does is, while it does it: in a thread of its own."""
        return None if self._held is None or not hasattr(self._held, "heard") else self._held.heard()

    def do(self, function: Callable[[Any, Any], Any], item: Any) -> _Done | _Failed:
        return self._said(lambda: function(self._held, item))

    @staticmethod
    def _said(work: Callable[[], Any]) -> _Done | _Failed:
        try:
            return _Done(work())
        except BaseException as error:
            pass_on_stops(error)
            return _Failed.of(error)


@dataclass
class _Member:
    """A worker as its driver sees it.

    Attributes:
        actor: Ray's handle of it.
        where: the machine and process it runs in; empty: it has not started.
        item: the number of the item it works on; None: none.
        asked: what will tell how far it is; None: it was not asked.
    """

    actor: Any
    where: str = ""
    item: int | None = None
    asked: Any = None


class RayWorkers:
    """What `ray_workers` yields.

    Args:
        ray: the module, connected to a cluster.
        options: see `RayOptions`.
        make: called in each worker, once; what it returns is the first argument of what the worker does.
        observe: is told of workers that died and of a cluster without room.
        patience: see `PATIENCE`; 0 where no room will come.

    Attributes:
        observe: see above; may be set anew.
        number: how many workers there are, or will be once there is room.
    """

    def __init__(
        self, ray: Any, options: RayOptions, make: Callable[[], Any], observe: Observer, patience: float
    ) -> None:
        self._ray, self.observe, self._patience = ray, observe, patience
        gpus = options.num_gpus
        if gpus is None:
            gpus = 1.0 if any(node.get("GPU") for node in self._machines()) else 0.0
        self._asks = {"CPU": options.num_cpus, "GPU": gpus}
        fitting = self._fitting()
        self.number = options.actors or max(fitting, 1)
        if fitting < self.number and options.devices:
            raise self._no_room(0.0, f"{self.number:,} workers, one on each of {', '.join(options.devices)}")
        if 0 < fitting < self.number:
            observe.note(
                f"the Ray cluster has room for {fitting:,} of {self.number:,} workers ({self._asked_and_there()}); the "
                "others start when there is more"
            )
        # two calls at a time: what it does, and how far it is
        self._worker = ray.remote(num_cpus=options.num_cpus, num_gpus=gpus, max_concurrency=2)(_Worker)
        self._make = ray.put(make)
        self._waited_for: dict[Any, _Member] = {}
        self._idle: list[_Member] = []
        self._died_at_start = 0
        self._asked_at = 0.0
        if not fitting and not patience:
            raise self._no_room(0.0)
        self._alone_since: float | None = None
        for _ in range(self.number):
            self._start()

    def _start(self) -> None:
        member = _Member(self._worker.remote(self._make, os.getcwd(), self._asks["GPU"]))  # noqa: PTH109
        self._waited_for[member.actor.where.remote()] = member

    def _machines(self) -> list[Mapping[str, float]]:
        """What each machine of the cluster has, whoever uses it."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _fitting(self) -> int:
        """How many workers the machines hold that are there, were they free."""
        asked = {name: amount for name, amount in self._asks.items() if amount}
        return sum(
            min(int(machine.get(name, 0.0) / amount + 1e-9) for name, amount in asked.items())
            for machine in self._machines()
        )

    def _asked_and_there(self) -> str:
        machines = self._machines()
        each = " or ".join(sorted({_listed(machine) for machine in machines}))
        return (
            f"a worker asks for {_listed(self._asks)}; {len(machines):,} machine{'s' * (len(machines) != 1)} with "
            f"{each}, of which {_listed(self._ray.available_resources())} in all are free"
        )

    def map(
        self,
        function: Callable[[Any, Item], Output],
        items: Sequence[Item],
        named: Callable[[Item], str],
        hear: Callable[[Any], None] | None = None,
    ) -> Iterator[tuple[int, Output]]:
        """Yield the number and the result of each item, as they are done.

        Args:
            function: called in a worker with what `make` returned there, and an item; of a module that the worker has.
            items: each is given to one worker; to another one when that worker dies.
            named: what an item is called in messages, such as "shard 2 of 8".
            hear: is given what the method `heard` of that which `make` returned says, of each worker, about once a
                second while it works.

        Raises:
            EngineError: the function failed, an item took several workers down, or no worker finds room.
        """
        left, attempts, undone = deque(range(len(items))), [0] * len(items), len(items)
        for member in self._waited_for.values():
            member.item = None if member.item is None else _GIVEN_UP
        while undone:
            while left and self._idle:
                member = self._idle.pop()
                member.item = left.popleft()
                self._waited_for[member.actor.do.remote(function, items[member.item])] = member
            done, _ = self._ray.wait(list(self._waited_for), num_returns=1, timeout=_LOOK)
            self._look_for_room()
            if hear is not None:
                self._ask(hear)
            for reference in done:
                member = self._waited_for.pop(reference)
                stale = member.item == _GIVEN_UP
                number, member.item = None if stale else member.item, None
                name = "" if number is None else named(items[number])
                try:
                    said = self._ray.get(reference)
                except self._ray.exceptions.RayError as error:
                    self._replace(member, name, error)
                    if number is not None:
                        attempts[number] += 1
                        if attempts[number] == ATTEMPTS:
                            raise _took_down(name, ATTEMPTS, member, error) from None
                        left.append(number)
                    continue
                if isinstance(said, tuple):
                    self._welcome(member, *said)
                    continue
                self._idle.append(member)
                if isinstance(said, _Failed):
                    if stale:
                        continue
                    raise said.error(member.where, name)
                if number is not None:
                    undone -= 1
                    yield number, said.result

    def _ask(self, hear: Callable[[Any], None]) -> None:
        """Hand on what workers said since the last time, and ask those that work on something again."""
        now = time.monotonic()
        if now - self._asked_at < _LOOK:
            return
        self._asked_at = now
        for member in self._waited_for.values():
            if member.asked is not None and self._ray.wait([member.asked], timeout=0)[0]:
                with suppress(self._ray.exceptions.RayError):  # that it died is heard from what it was given to do
                    if (said := self._ray.get(member.asked)) is not None:
                        hear(said)
                member.asked = None
            if member.asked is None and member.item is not None:
                member.asked = member.actor.heard.remote()

    def _welcome(self, member: _Member, machine: str, process: int, version: str) -> None:
        member.where = f"on {machine} (process {process})"
        if version != __version__:
            raise EngineError(
                f"the worker {member.where} has another version of xqr-bench",
                found=f"{version} there, {__version__} here",
                remedy="install one version on every machine of the cluster",
            )
        self._waited_for[member.actor.load.remote()] = member

    def _replace(self, member: _Member, named: str, error: Exception) -> None:
        who = f"the worker {member.where}" if member.where else "a worker that was starting"
        self.observe.note(f"{who} died" + (f": {named} goes to another one" if named else ", another one starts"))
        self._died_at_start = 0 if named else self._died_at_start + 1
        if self._died_at_start >= ATTEMPTS * self.number:
            raise _took_down("what is loaded at the start", self._died_at_start, member, error)
        self._start()

    def _look_for_room(self) -> None:
        """Check that there is a worker, or may be one soon."""
        if self._idle or any(member.where for member in self._waited_for.values()):
            self._alone_since = None
            return
        now = time.monotonic()
        if self._alone_since is None:
            self._alone_since, self._told = now, False
        alone = now - self._alone_since
        if alone >= (self._patience or PATIENCE):
            raise self._no_room(alone)
        if not self._told and (alone >= _TELL or not self._fitting()):
            self._told = True
            self.observe.note(
                f"no worker has started on the Ray cluster; waiting up to {PATIENCE:,.0f} s: {self._asked_and_there()}"
            )

    def _no_room(self, seconds: float, whom: str = "a worker") -> EngineError:
        return EngineError(
            f"no worker has started on the Ray cluster in {seconds:,.0f} s"
            if seconds
            else f"the Ray cluster has no room for {whom}",
            found=self._asked_and_there(),
            remedy="ask for less (--num-cpus, --num-gpus), add machines, or end what else runs there",
        )

    def close(self) -> None:
        """End the workers."""
        for member in [*self._waited_for.values(), *self._idle]:
            self._ray.kill(member.actor)
        self._waited_for.clear()
        self._idle.clear()


def _took_down(named: str, times: int, member: _Member, error: Exception) -> EngineError:
    return EngineError(
        f"{named} took {times} workers down" + (f", the last {member.where}" if member.where else ""),
        found=(str(error).strip().splitlines() or [type(error).__name__])[0],
        remedy="memory may have run out there: give a smaller --batch-size, or fewer workers on a machine "
        "(--num-cpus, --num-gpus)",
    )


def _listed(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0.0):g} CPUs and {resources.get('GPU', 0.0):g} GPUs"


@contextmanager
def ray_workers(options: RayOptions, make: Callable[[], Any], observe: Observer) -> Iterator[RayWorkers]:
    """Workers on a cluster, for as long as the block lasts; nothing of ours is left there afterwards.

    A session with Ray that the process has opened itself is used, and stays open. A cluster that is started here is
    stopped at the end, or by Ray when this process is killed; it is closed to other users by a token that stands in the
    environment of its processes, not in a file.

    Args:
        options: see `RayOptions`.
        make: see `RayWorkers`.
        observe: see `RayWorkers`.

    Raises:
        EngineError: Ray is not installed, or the cluster cannot be reached.
    """
    ray = ray_module()
    with ExitStack() as stack:
        own = not ray.is_initialized() and _connect(ray, options, stack)
        workers = RayWorkers(ray, options, make, observe, patience=0.0 if own else PATIENCE)
        stack.callback(workers.close)
        yield workers


def _connect(ray: Any, options: RayOptions, stack: ExitStack) -> bool:
    """Connect to a cluster until the stack is closed; True: it was started here."""
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = options.address or os.environ.get("RAY_ADDRESS") or None
    if address is not None and "://" in address:
        raise EngineError(
            f"{address} is the address of Ray's client, which runs nothing beside the cluster",
            remedy="run this command on a machine of the cluster, with --address auto, such as through "
            "`ray job submit` (docs/scale.md)",
        )
    if address is None:
        folder = Path(tempfile.mkdtemp(prefix="xqr-"))  # Ray's sockets stand there, whose paths must be short
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        settings |= {"include_dashboard": False, "_temp_dir": str(folder)}
        stack.enter_context(_environment({**_own_token(), **_seen(options)}))
    try:
        if address is not None and (parts := _HOST_AND_PORT.fullmatch(address)) is not None:
            socket.create_connection((parts["host"], int(parts["port"])), _REACHED).close()  # Ray tries for minutes
        ray.init(address=address or "local", **settings)
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        what = f"the Ray cluster at {address} cannot be reached" if address else "Ray cannot start on this machine"
        raise EngineError(
            what,
            found=(str(error).strip().splitlines() or [type(error).__name__])[0],
            remedy="leave --address out to start Ray on this machine alone; `ray status` shows whether a cluster runs",
        ) from error
    stack.callback(ray.shutdown)
    return address is None


_HOST_AND_PORT = re.compile(r"(?P<host>[^:]+):(?P<port>\d+)", re.ASCII)
_REACHED = 10.0
"""Seconds in which the machine of a cluster answers."""
_TOKEN = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@cache
def _token() -> str:
    """The token of the clusters that this process starts: Ray reads it once, and keeps it for those that follow."""
    return secrets.token_hex(32)


def _own_token() -> dict[str, str]:
    """A token of a new cluster, unless the user has chosen: Ray would write one into the user's home."""
    chosen = any(os.environ.get(name) for name in _TOKEN) or (Path.home() / ".ray" / "auth_token").exists()
    return {} if chosen else {"RAY_AUTH_TOKEN": _token()}


def _seen(options: RayOptions) -> dict[str, str]:
    """What makes a new cluster see the GPUs alone that were named, by their numbers among those seen here."""
    if not options.devices or not options.num_gpus:
        return {}
    here = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    numbers = [int(one.partition(":")[2] or 0) for one in options.devices]
    return {"CUDA_VISIBLE_DEVICES": ",".join(here[one] if here else str(one) for one in numbers)}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process and of those that it starts, for as long as the block lasts.

    Ray sets some of those of its token itself; they too are afterwards what they were.
    """
    before = {name: os.environ.get(name) for name in (*values, *_TOKEN)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
