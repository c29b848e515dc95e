"""One evaluation in shards is the same record and the same files as in one run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xqr_bench.rank.product as tiles
from tests.conftest import DATA, needs_data
from tests.kit import PARTIAL, contents, edit, ran, read_json, run, small_task, vectors
from xqr_bench.core.errors import RanksError, RecordError, UsageError
from xqr_bench.core.folder import SharedFolder
from xqr_bench.core.observe import Observer
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.merged import merge_shards
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.shards import ShardedRun, dealt
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.counting import Columns, Counter, Share, multiplications
from xqr_bench.rank.exact import count_all, go_through
from xqr_bench.rank.product import find_repeats
from xqr_bench.rank.rules import Tally
from xqr_bench.rank.torch_counting import TorchCounter
from xqr_bench.record import Result, load_record, save_record
from xqr_bench.tasks import Selection, resolve_task


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of some hundreds of candidates has many tiles."""
    monkeypatch.setattr(tiles, "TILE_COLUMNS", 40)
    monkeypatch.setattr(tiles, "TILE_ROWS", 50)


def task_of(name: str, **part: Any) -> Task:
    spec = resolve_task(name)
    return Task(spec, Selection(**part).load(spec))


def in_shards(model: object, tasks: Sequence[Task], folder: object, of: int, seed: int = 0) -> None:
    """Do all shards, each pass in another order."""
    orders = np.random.Generator(np.random.PCG64(seed))
    with opened(model) as ranker:
        work = ShardedRun(ranker, tasks, folder, of)  # type: ignore[arg-type]
        for do in work.passes.values():
            for number in orders.permutation(of).tolist():
                do(number + 1, None)


def refuse_differences(one: Result, other: Result, folder: Path) -> None:
    """Check that two records are the same but for provenance, and all files beside them byte for byte."""
    files = []
    for name, record in (("one", one), ("other", other)):
        path = folder / name / "record.json"
        save_record(record, path)
        edit(path, lambda said: said.pop("provenance"))
        files.append(contents(folder / name))
        shutil.rmtree(folder / name)
    assert files[0].keys() == files[1].keys()
    assert [name for name in files[0] if files[0][name] != files[1][name]] == []


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_a_run_in_shards_is_a_single_run(of: int, small_tiles: None, tmp_path: Path) -> None:
    task = task_of("mini")
    (single,) = evaluate("char-ngrams", [task])
    in_shards("char-ngrams", [task], tmp_path / "shards", of, seed=of)
    (merged,) = merge_shards(tmp_path / "shards")
    refuse_differences(single, merged, tmp_path)
    assert merged.provenance.settings["shards"] == of


def test_in_a_store_that_fsspec_reaches(tmp_path: Path) -> None:
    task, place = task_of("mini", limit=5), f"memory://{uuid.uuid4().hex}/run"
    (single,) = evaluate("char-ngrams", [task])
    in_shards("char-ngrams", [task], place, 2)
    with pytest.raises(RecordError, match="the task mini is another here"):
        merge_shards(place)  # it was not asked for a part: the data were given
    (merged,) = merge_shards(place, [task])
    refuse_differences(single, merged, tmp_path)


def test_the_command(tmp_path: Path) -> None:
    shards = str(tmp_path / "shards")
    evaluated = ["evaluate", "char-ngrams", "--limit", "6", "--languages", "en,de,th"]
    alone = ran(*evaluated, "--output", str(tmp_path / "alone"))
    waits = run(*evaluated, "--shard", "2/2", "--output", shards)
    assert waits.code == 75
    assert waits.err.splitlines()[-1] == (
        "shard 2 of 2 waits for the vectors of shard 1: run the same command again then, or give --wait SECONDS"
    )
    done = [run(*evaluated, "--shard", f"{one}/2", "--output", shards) for one in (1, 2, 1)]
    assert [one.code for one in done] == [75, 0, 0]
    assert [one.err.splitlines()[-1] for one in done] == [
        "shard 1 of 2 waits for the scores of the relevants of shard 2: run the same command again then, or give "
        "--wait SECONDS",
        f"shard 2 of 2 is done; when all are, xqr-bench merge {shards} makes the records",
        f"shard 1 of 2 is done; all are: xqr-bench merge {shards}",
    ]
    merged = ran("merge", shards, "--output", str(tmp_path / "merged"))
    assert merged.out.replace("/merged/", "/alone/") == alone.out
    both = [contents(tmp_path / name) for name in ("alone", "merged")]
    assert both[0].keys() == both[1].keys()
    for name in both[0]:
        if name.endswith(".json"):
            said = [read_json(tmp_path / folder / name) for folder in ("alone", "merged")]
            assert said[0].pop("provenance") != said[1].pop("provenance")
            assert said[0] == said[1]
        else:
            assert both[0][name] == both[1][name]
    again = ran("merge", shards, "--output", str(tmp_path / "merged"))
    assert "is there already and answers this" in again.err


def test_waiting_ends(tmp_path: Path) -> None:
    done = run("evaluate", "char-ngrams", "--shard", "1/2", "--wait", "0.1", "--output", str(tmp_path))
    assert done.code == 1
    assert "shard 1 of 2 still waits for the vectors of shard 2; nothing has come for 0.1 seconds" in done.err


def test_every_tile_is_dealt_once() -> None:
    for sizes in ([7, 1], [1], [0, 3], [5, 0, 4]):
        for of in (1, 2, 3, 9):
            shares = [dealt(sizes, number, of) for number in range(1, of + 1)]
            for at, size in enumerate(sizes):
                assert [tile for share in shares for tile in share[at]] == list(range(size))
            held = [sum(map(len, share)) for share in shares]
            assert max(held) - min(held) <= 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (["bm25"], "--shard deals out the vectors of an encoder, which bm25 does not have one of a text"),
        (["fuse:rrf", "char-ngrams", "bm25"], "--shard deals out the vectors of an encoder"),
        (["char-ngrams", "--transform", "center"], "--transform center is estimated on all vectors of a language"),
        (["char-ngrams", "--quantize", "int8"], "--quantize cannot be used with --shard"),
        (["char-ngrams", "--index", "flat"], "--index cannot be used with --shard"),
        (["char-ngrams", "--balanced"], "--balanced cannot be used with --shard\n  to do: evaluate it in one process"),
        (["char-ngrams", "--rerank", "bm25"], "--rerank cannot be used with --shard"),
        (["char-ngrams", "--trec-run", "runs"], "--trec-run cannot be used with --shard"),
        (
            ["char-ngrams", "--json"],
            "--json cannot be used with --shard\n  to do: leave it out, and give it to `xqr-bench",
        ),
    ],
)
def test_what_cannot_be_dealt_out(model: list[str], said: str, tmp_path: Path) -> None:
    done = run("evaluate", *model, "--shard", "1/2", "--output", str(tmp_path / "shards"))
    assert done.code == 1
    assert said in done.err
    assert "to do:" in done.err
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_no_shard(text: str, tmp_path: Path) -> None:
    done = run("evaluate", "char-ngrams", f"--shard={text}", "--output", str(tmp_path))
    assert done.code == 1
    assert f"--shard cannot be {text!r}" in done.err


def test_a_url_is_for_shards(tmp_path: Path) -> None:
    done = run("evaluate", "char-ngrams", "--output", "memory://somewhere")
    assert done.code == 1
    assert "--output memory://somewhere is no folder" in done.err
    with pytest.raises(UsageError, match="cannot be reached"):
        SharedFolder("nosuchstore://somewhere")


class Few:
    """Few different vectors, so that most texts share theirs with others; some are zeros."""

    name = "few"
    similarity = "cosine"
    revision = "1"

    def __init__(self, different: int = 9, zeros: bool = False) -> None:
        draws = np.random.Generator(np.random.PCG64(3))
        self._vectors = draws.integers(-1, 2, (different, 4)).astype(np.float32)
        self._vectors[:, 0] = 1
        if zeros:
            self._vectors[0] = 0

    def encode(self, texts: list[str]) -> np.ndarray:
        return self._vectors[[sum(map(ord, text)) % len(self._vectors) for text in texts]]


# The same of every kind of vectors and tasks.


def refuse_other_record(model: Any, tasks: Sequence[Task], folder: Path, of: int = 3) -> list[Result]:
    """Evaluate in one run and in shards, and compare all that comes out."""
    single = evaluate(model(), tasks)
    in_shards(model(), tasks, folder / "shards", of)
    merged = merge_shards(folder / "shards", tasks)
    for one, other in zip(single, merged, strict=True):
        refuse_differences(one, other, folder)
    return merged


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_ties_across_shards(similarity: str, small_tiles: None, tmp_path: Path) -> None:
    def few() -> Few:
        made = Few()
        made.similarity = similarity
        return made

    (merged,) = refuse_other_record(few, [task_of("mini")], tmp_path, 4)
    hits = merged.ranks.hits
    assert merged.scores["multilingual"].macro["map"].tied_fraction == 1
    assert hits is None or hits.beyond.any()
    assert merged.top is not None
    assert merged.warnings != []  # of languages whose texts share vectors


def test_zero_vectors(small_tiles: None, tmp_path: Path) -> None:
    def zeros() -> VectorRanker:
        return VectorRanker(load_encoder(Few(zeros=True)), allow_zero_vectors=True)

    (merged,) = refuse_other_record(zeros, [task_of("mini")], tmp_path)
    assert sum(one.zero_candidates for one in merged.diagnostics.values()) > 0


def test_a_model_with_prompts_and_a_length_limit(model: Path, small_tiles: None, tmp_path: Path) -> None:
    def bounded() -> VectorRanker:
        return VectorRanker(load_encoder(str(model), EncoderOptions(max_length=16, batch_size=16, device="cpu")))

    tasks = [task_of("mini", limit=8), task_of(str(PARTIAL))]
    merged = refuse_other_record(bounded, tasks, tmp_path)
    assert any("were cut off" in line for line in merged[0].warnings)
    assert merged[0].ranks.hits is None or merged[0].ranks.hits.places is not None


def test_collapsed_counts(small_tiles: None, tmp_path: Path) -> None:
    data = small_task(2, {f"l{number:02}": 7 for number in range(34)})
    merged = refuse_other_record(Few, [Task(resolve_task(data), data)], tmp_path)
    assert merged[0].ranks.query_gt is not None


def test_judged_candidates(small_tiles: None, tmp_path: Path) -> None:
    data = small_task(3, {"en": 60, "de": 50})
    data = replace(data, irrelevant=tuple((20, 21, 70) for _ in data.queries), relevance=("judged",))
    spec = resolve_task(data).model_copy(update={"relevance": ("judged",)})
    (merged,) = refuse_other_record(Few, [Task(spec, data)], tmp_path)
    assert merged.relevance["judged"].ranks_file is not None


def test_pools_of_their_own(small_tiles: None, tmp_path: Path) -> None:
    sizes = {"de": 90, "fr": 60, "sw": 5}
    parts = [small_task(4, {code: size}) for code, size in sizes.items()]
    starts = np.cumsum([0, *sizes.values()])
    data = replace(
        parts[0],
        languages=tuple(sizes),
        queries=tuple(query for part in parts for query in part.queries),
        candidates=tuple(one for part in parts for one in part.candidates),
        relevants=tuple(
            tuple(int(start) + one for one in of)
            for start, part in zip(starts, parts, strict=False)
            for of in part.relevants
        ),
        clusters=tuple(0 for part in parts for _ in part.queries),
    )
    spec = resolve_task(data).model_copy(update={"settings": ("monolingual",), "metrics": ("map", "success@1")})
    (merged,) = refuse_other_record(Few, [Task(spec, data)], tmp_path, 4)
    assert merged.ranks.separate


def test_vectors_made_before(small_tiles: None, tmp_path: Path) -> None:
    task, generator = task_of("mini"), np.random.Generator(np.random.PCG64(1))
    folder = tmp_path / "vectors"
    (folder / "mini").mkdir(parents=True)
    for name, items in (("queries", task.data.queries), ("candidates", task.data.candidates)):
        order = generator.permutation(len(items))
        numbers = generator.standard_normal((len(items) + 1, 12)).astype(np.float16)
        np.save(folder / "mini" / f"{name}.npy", numbers)
        ids = [*(items[row].id for row in order), "en:nowhere"]
        (folder / "mini" / f"{name}.ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    (merged,) = refuse_other_record(lambda: f"precomputed:{folder}", [task], tmp_path)
    assert merged.model.identity.dtype == "float16"
    assert sum("ids that mini does not have" in line for line in merged.warnings) == 2
    kinds = {path.suffix for path in (tmp_path / "shards").iterdir()}
    assert kinds == {".encoded", ".found", ".counted"}  # vectors are read where they were; no tokens are counted


@pytest.mark.parametrize("kind", [Counter, partial(TorchCounter, device="cpu")])
def test_counted_in_shares(kind: Any, small_tiles: None) -> None:
    """On the processor and with torch, whatever part of the tiles a share has, and where it has none."""
    data = small_task(4, {"en": 90, "de": 70, "th": 11})
    queries, candidates = vectors(len(data.queries), 1, levels=2), vectors(len(data.candidates), 2, levels=2)
    whole = count_all(data, kind(data.edges, queries, candidates, unit=False, memory=2**26))
    repeats = find_repeats(len(candidates), lambda start, stop: candidates[start:stop])
    tiles_there = Columns(data.edges, repeats).tiles
    assert tiles_there > 5
    for of in (2, 5, tiles_there + 3):
        shares = [Share(repeats, *dealt([tiles_there], number, of)) for number in range(1, of + 1)]
        tallies = []
        for share in shares:
            tally = Tally(data)
            tally.begin_finding()
            counter = kind(data.edges, queries, candidates, unit=False, memory=2**26, share=share)
            go_through(tally, counter, [(True, False)], len(queries))
            tallies.append((tally, counter, tally.found()))
        merged = Tally(data)
        merged.begin_finding()
        for tally, counter, found in tallies:
            merged.take_found(found)
            for _, _, other in tallies:
                if other is not found:
                    tally.take_found(other)
            tally.refuse_unfound()
            go_through(tally, counter, [(False, True)], len(queries))
        for tally, _, _ in reversed(tallies):
            merged.take_counted(tally.counted())
        ranks = merged.ranks()
        for name in ("gt", "eq", "top"):
            np.testing.assert_array_equal(getattr(ranks, name), getattr(whole, name))
        assert ranks.hits is not None
        assert whole.hits is not None
        for one, other in zip(ranks.hits, whole.hits, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(RanksError, match="was found in two places"):
        merged.take_found(next(found for _, _, found in tallies if len(found["strict.rows"])))
    empty = Tally(data)
    empty.begin_finding()
    with pytest.raises(RanksError, match="were found nowhere"):
        empty.refuse_unfound()


def smaller() -> Task:
    """A part of the task mini as a task of its own."""
    part = task_of("mini", limit=1)
    return Task(part.spec.model_copy(update={"name": "smaller"}), replace(part.data, name="smaller"))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A GPU that counts with torch on the processor; which devices counted."""
    counted: list[str] = []

    def counter(device: str, *arguments: Any, **named: Any) -> Counter:
        counted.append(device)
        kind: Any = partial(TorchCounter, device="cpu") if device == "cuda:0" else Counter
        made: Counter = kind(*arguments, **named)
        return made

    def chosen(asked: str, encoder_device: str | None) -> str:
        return "cpu" if asked == "cpu" else "cuda:0"

    monkeypatch.setattr("xqr_bench.evaluation.vectors.counting_device", chosen)
    for module in ("vectors", "shards"):
        monkeypatch.setattr(f"xqr_bench.evaluation.{module}.device_name", lambda device: f"{device} (named)")
    monkeypatch.setattr("xqr_bench.rank.exact.counter_on", counter)
    monkeypatch.setattr("xqr_bench.evaluation.shards.counter_on", counter)
    return counted


@pytest.mark.parametrize(
    ("least", "asked", "on"),
    [(1.0, "auto", "cuda:0"), (1e18, "auto", "cpu"), (1e18, "cuda", "cuda:0"), (1.0, "cpu", "cpu")],
)
def test_a_run_and_its_shards_are_counted_on_one_device(
    least: float,
    asked: str,
    on: str,
    gpu: list[str],
    small_tiles: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the size of the task alone; where that was is in the record."""
    monkeypatch.setattr("xqr_bench.evaluation.vectors.LEAST_OF_BLOCK", least)
    tasks = [task_of("mini"), smaller()]
    ranker = VectorRanker(load_encoder("char-ngrams"), score_device=asked)
    single = evaluate(ranker, tasks)
    in_shards(ranker, tasks, tmp_path / "shards", 3)
    merged = merge_shards(tmp_path / "shards", tasks)
    assert set(gpu) == {on}
    for one, other in zip(single, merged, strict=True):
        assert one.provenance.hardware["counted_on"] == other.provenance.hardware["counted_on"] == f"{on} (named)"
        assert one.ranks_file.digest == other.ranks_file.digest
        assert not any("made alike" in line for line in other.warnings)


def test_of_two_tasks_the_larger_is_counted_on_the_gpu(
    gpu: list[str], small_tiles: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [task_of("mini"), smaller()]
    ranker = VectorRanker(load_encoder("char-ngrams"))
    monkeypatch.setattr("xqr_bench.evaluation.vectors.LEAST_OF_BLOCK", 1.0)
    evaluate(ranker, tasks)
    columns = ranker.identity.dimensions
    assert columns is not None
    sizes = [multiplications([(len(task.data.queries), len(task.data.candidates))], columns) for task in tasks]
    monkeypatch.setattr("xqr_bench.evaluation.vectors.LEAST_OF_BLOCK", sum(sizes) / 2)
    in_shards(ranker, tasks, tmp_path / "shards", 2)
    for records in (evaluate(ranker, tasks), merge_shards(tmp_path / "shards", tasks)):
        on = [record.provenance.hardware["counted_on"] for record in records]
        assert on == ["cuda:0 (named)", "cpu (named)"]


def test_what_was_kept_is_not_encoded_again(model: Path, small_tiles: None, tmp_path: Path) -> None:
    options, task, folder = EncoderOptions(batch_size=8, device="cpu"), task_of("mini", limit=6), tmp_path / "shards"
    stopped = Stopping(5)
    with opened(str(model), options) as ranker:
        work = ShardedRun(ranker, [task], folder, 2)
        work.measure(1)
        work.measure(2)
        with pytest.raises(KeyboardInterrupt):
            work.encode(1, stopped)
    kept = list((folder / "pieces" / "1-of-2").iterdir())
    assert kept
    damaged = kept[0].read_bytes()
    kept[0].write_bytes(damaged[:-9])
    with opened(str(model), options) as ranker:
        work = ShardedRun(ranker, [task], folder, 2)
        called: list[int] = []
        call = ranker.encoder.call  # type: ignore[attr-defined]
        ranker.encoder.call = lambda role, texts: (called.append(len(texts)), call(role, texts))[1]  # type: ignore[attr-defined]
        work.go_on(1)
        first = sum(called)
        work.go_on(2)
        second = sum(called) - first
        texts = {one.text for one in task.data.queries}, {one.text for one in task.data.candidates}
        assert 0 < first < sum(map(len, texts)) - second  # of its share, what was kept was not encoded again
        assert work.go_on(1) is None
        assert work.go_on(2) is None
    assert not list(folder.glob("pieces/*/*"))
    (single,) = evaluate(VectorRanker(load_encoder(str(model), options)), [task])
    refuse_differences(single, merge_shards(folder, [task])[0], tmp_path)


def test_every_shard_counts_the_tokens_of_a_part(model: Path, tmp_path: Path) -> None:
    options, task, folder = EncoderOptions(device="cpu"), task_of("mini"), tmp_path / "shards"
    counted: list[list[str]] = []
    for number in (1, 2, 3):
        with opened(str(model), options) as ranker:
            work, of_shard, measure = ShardedRun(ranker, [task], folder, 3), list[str](), ranker.encoder.measure  # type: ignore[attr-defined]

            def heard(role: str, texts: list[str], of_shard: list[str] = of_shard, measure: Any = measure) -> Any:
                of_shard.extend(f"{role} {text}" for text in texts)
                return measure(role, texts)

            assert work.passes  # it asks once, of a text of its own, whether tokens are counted
            ranker.encoder.measure = heard  # type: ignore[attr-defined]
            waiting = [work.go_on(number), work.go_on(number)]
            if number < 3:
                assert waiting[0] == waiting[1]
                assert str(waiting[0]).startswith("waits for the token counts of shard")
            counted.append([text for text in of_shard if text != "query a"])
    texts = {f"query {one.text}" for one in task.data.queries} | {
        f"candidate {one.text}" for one in task.data.candidates
    }
    assert sorted(text for of_shard in counted for text in of_shard) == sorted(texts)  # each by one shard, once
    sizes = list(map(len, counted))
    assert max(sizes) - min(sizes) <= 2  # of each role at most one text more
    assert sorted(path.name for path in folder.glob("*.measured")) == [f"{one}-of-3.measured" for one in (1, 2, 3)]


class Stopping(Observer):
    """Stops a run, as Ctrl-C does, when so many batches are encoded."""

    def __init__(self, batches: int) -> None:
        self._left, self._encoding = batches, False

    def start(self, phase: str, total: int | None = None) -> None:
        self._encoding = phase == "encoding"

    def advance(self, steps: int, status: str = "") -> None:
        self._left -= self._encoding
        if not self._left:
            raise KeyboardInterrupt


SLOW = """
import time

import numpy as np


class Slow:
    name = "slow"
    similarity = "cosine"
    revision = "1"

    def encode(self, texts):
        time.sleep(0.1)
        with open({log!r}, "a") as log:
            log.write("".join(f"{{len(text)}}\\n" for text in texts))
        return np.array([[sum(map(ord, text)) % 97, len(text), text.count("e")] for text in texts], dtype=np.float32)
"""


@pytest.mark.parametrize("stored", [True, False])
def test_a_killed_shard_goes_on(stored: bool, tmp_path: Path) -> None:
    """From the embedding store, or without one from among the files of the run."""
    log, code = tmp_path / "log", tmp_path / "slow.py"
    code.write_text(SLOW.format(log=str(log)), encoding="utf-8")
    told = [f"{code}:Slow", "--limit", "10", "--batch-size", "4"]
    where = ["--cache-dir", str(tmp_path / "store")] if stored else ["--no-cache"]
    shard = [*told, *where, "--output", str(tmp_path / "shards"), "--shard"]
    begun = subprocess.Popen(
        [sys.executable, "-m", "xqr_bench", "evaluate", *shard, "1/2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    kept = "store/embeddings/*/shards/[!.]*" if stored else "shards/pieces/1-of-2/[!.]*"
    until = time.monotonic() + 120
    while len(list(tmp_path.glob(kept))) < 3:
        assert begun.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    begun.kill()
    assert begun.wait() == -signal.SIGKILL
    before = len(log.read_text().splitlines())
    assert before >= 3 * 4
    assert [run("evaluate", *shard, f"{number}/2").code for number in (1, 2, 1, 2)] == [75, 75, 0, 0]
    again = len(log.read_text().splitlines()) - before
    ran("merge", str(tmp_path / "shards"), "--output", str(tmp_path / "merged"))
    texts = before + again
    ran("evaluate", *told, "--no-cache", "--output", str(tmp_path / "alone"))
    whole = len(log.read_text().splitlines()) - texts
    assert again <= whole - 3 * 4  # what was kept was not encoded again
    both = [load_record(tmp_path / name / "slow" / "mini.json", ranks=True) for name in ("alone", "merged")]
    refuse_differences(both[0], both[1], tmp_path)


def test_two_terminals(tmp_path: Path) -> None:
    told = ["char-ngrams", "--limit", "6", "--output"]
    command = [sys.executable, "-m", "xqr_bench", "evaluate", *told, str(tmp_path / "shards"), "--wait", "300"]
    both = [
        subprocess.Popen([*command, "--shard", f"{number}/2"], stderr=subprocess.PIPE, text=True) for number in (2, 1)
    ]
    lines = [one.communicate()[1].splitlines()[-1] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert any("all are: xqr-bench merge" in line for line in lines)
    ran("merge", str(tmp_path / "shards"), "--output", str(tmp_path / "merged"))
    ran("evaluate", *told, str(tmp_path / "alone"))
    records = [load_record(tmp_path / name / "char-ngrams" / "mini.json", ranks=True) for name in ("alone", "merged")]
    refuse_differences(records[0], records[1], tmp_path)


E5 = Path(DATA).parent / "embeddings" / "multilingual-e5-small-q4" if DATA else Path("nowhere")


@needs_data
@pytest.mark.skipif(not E5.is_dir(), reason="needs vectors of e5 beside the real data")
def test_real_vectors_on_xquad_r(tmp_path: Path) -> None:
    refuse_other_record(lambda: f"precomputed:{E5}", [task_of("xquad-r")], tmp_path, 3)
