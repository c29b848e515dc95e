"""What is damaged and who reads it: small files of every format, written here, and their readers."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.kit import Seen, edit, ran, read_json, run
from tests.site.ratios import made_up
from tests.studies.test_design import PLAN
from tests.studies.test_sweep import asked as sweep_of
from tests.train.build import planned
from xqr_bench.board import facts
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.files import sha256_of
from xqr_bench.core.types import TaskData
from xqr_bench.encode import BoundEncoder, embed_tasks, load_encoder
from xqr_bench.encode.embed import embedder_of
from xqr_bench.encode.store import VectorStore, contents
from xqr_bench.encode.store import verify as verify_store
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.rank.index import IndexOptions, indexed_ranks
from xqr_bench.rank.index_store import IndexSearcher, save_index
from xqr_bench.record import load_ranks, ranks_digest, save_record
from xqr_bench.record.exposure import read_declaration
from xqr_bench.record.exposure_search import read_texts
from xqr_bench.studies.ratio.design import list_runs
from xqr_bench.studies.ratio.findings import Asked, build_ratios
from xqr_bench.studies.ratio.form import load_ratios, save_ratios
from xqr_bench.studies.ratio.page import ratio_pages
from xqr_bench.studies.ratio.results import load_results
from xqr_bench.studies.ratio.scoring import compact, save_compact
from xqr_bench.studies.ratio.sweep import choose_numbers, write_summary
from xqr_bench.tasks import load_spec, load_task
from xqr_bench.train.batch_files import load_plan, plan_statistics, save_plan, summary_lines, to_frame
from xqr_bench.train.data import load_training_data
from xqr_bench.train.types import BatchPlan

# A task of two languages, two articles and four questions, and an encoder of eight dimensions.

WORDS = ("lamp", "tower", "bridge", "river")


def _article(language: str, number: int) -> dict[str, Any]:
    paragraphs = []
    for word in WORDS[2 * number : 2 * number + 2]:
        sentences = [f"The {word} is old ({language}).", f"It has {len(word)} parts, says {language}."]
        context = " ".join(sentences)
        middle = len(sentences[0])
        answer = {"answer_start": middle + 8, "text": str(len(word))}
        qas = [{"id": f"q-{word}", "question": f"How many parts has the {word} ({language})?", "answers": [answer]}]
        breaks = [[0, middle], [middle + 1, len(context)]]
        paragraphs.append({"context": context, "sentences": sentences, "sentence_breaks": breaks, "qas": qas})
    return {"title": f"Title {number}", "paragraphs": paragraphs}


def write_task(folder: Path) -> Path:
    """`tiny.toml` and its two files of texts."""
    for language in ("de", "en"):
        document = {"version": "1", "data": [_article(language, number) for number in (0, 1)]}
        (folder / f"{language}.json").write_text(json.dumps(document), encoding="utf-8")
    lines = ['name = "tiny"', 'title = "Tiny"', 'languages = ["de", "en"]', 'format = "lareqa"', "groups = []"]
    lines += ['metrics = ["map", "recall@1", "rank_distance"]', "", "[files]"]
    for language in ("de", "en"):
        digest = sha256_of(folder / f"{language}.json")
        lines.append(f'{language} = {{ path = "{language}.json", sha256 = "{digest}" }}')
    (folder / "tiny.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "tiny.toml"


class Toy:
    """Vectors of eight numbers from the letters of a text."""

    name = "toy"
    revision = "1"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Counts of the letters, by their remainder."""
        rows = [np.bincount([ord(letter) % 8 for letter in text], minlength=8) for text in texts]
        return np.array(rows, dtype=np.float32) + 0.5


@cache
def toy() -> BoundEncoder:
    """The encoder, loaded once."""
    return load_encoder(Toy())


@cache
def task_folder() -> Path:
    """The task where nobody damages it."""
    folder = Path(tempfile.mkdtemp(prefix="xqr-bench-tiny-"))
    write_task(folder)
    return folder


@cache
def tiny() -> TaskData:
    """The data of the task."""
    return load_task(task_folder() / "tiny.toml")


# What is damaged, and who reads it.


@dataclass(frozen=True)
class Target:
    """Files and their reader.

    Attributes:
        write: puts whole files into an empty folder.
        read: reads them, given the folder and the file that is damaged; raises an XqrBenchError, or nothing.
        share: how many of a thousand inputs it gets.
        files: which files are damaged.
        repair: makes digests right again, so that what stands behind them is reached; done half of the time.
    """

    write: Callable[[Path], object]
    read: Callable[[Path, Path], object]
    share: int
    files: tuple[str, ...] = ("*",)
    repair: Callable[[Path], object] | None = None


def command(*arguments: object) -> int:
    """Run a command: it ends well, or says what is wrong in one error of ours."""
    done = run(*map(str, arguments))
    assert done.code in (0, 1, 2), done
    assert "Traceback" not in done.err
    if done.code:
        assert done.err.strip() or done.out.strip()
    return done.code


# Saved indices.


def _write_index(kind: str, *parameters: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        found = embed_tasks(toy(), [tiny()])["tiny"]
        indexed = indexed_ranks(tiny(), found.queries, found.candidates, IndexOptions.parse(kind, parameters))
        save_index(folder / "index", indexed, tiny(), toy(), task_file=task_folder() / "tiny.toml")

    return write


def _read_index(folder: Path, _: Path) -> None:
    searcher = IndexSearcher(folder / "index", encoder=toy(), task=task_folder() / "tiny.toml")
    hits = searcher.search("How many parts?", 5)
    texts = {candidate.id: candidate.text for candidate in tiny().candidates}
    assert all(hit.text == texts[hit.id] and hit.language == hit.id[:2] for hit in hits)
    assert all(math.isfinite(hit.score) for hit in hits)


def _repair_index(folder: Path) -> None:
    def change(manifest: Any) -> None:
        for code, files in manifest["files"].items():
            files.update(
                index=sha256_of(folder / "index" / f"{code}.faiss"), ids=sha256_of(folder / "index" / f"{code}.ids.txt")
            )

    edit(folder / "index" / "index.json", change)


def _index(kind: str, *parameters: str, share: int = 50, files: tuple[str, ...] = ("*.faiss",)) -> Target:
    return Target(_write_index(kind, *parameters), _read_index, share, files, repair=_repair_index)


# Batch plans.


@cache
def _training_data() -> Any:
    return load_training_data(str(task_folder() / "tiny.toml"))


def _write_plan(folder: Path) -> None:
    save_plan(planned(_training_data(), alpha=0.5, steps=3, batch_size=2, seed=1), folder / "plan.parquet")


def _read_plan(folder: Path, _: Path) -> None:
    data = [_training_data()]
    plan = load_plan(folder / "plan.parquet", data)
    plan_statistics(plan, data)
    to_frame(plan, data)
    for step in range(plan.steps):
        plan.pairs(step, data)
    if plan.steps:
        summary_lines(plan, data)


def _repair_plan(folder: Path) -> None:
    """Make the plan say the digest that its rows have."""
    table, found = pq.read_table(folder / "plan.parquet"), []
    digest = BatchPlan.digest
    with (
        patch.object(BatchPlan, "digest", lambda plan: found.append(digest(plan)) or found[-1]),
        suppress(XqrBenchError),
    ):
        load_plan(folder / "plan.parquet")
    facts = {**json.loads(table.schema.metadata[b"xqr-bench"]), "digest": found[-1]}
    table = table.replace_schema_metadata({b"xqr-bench": json.dumps(facts).encode()})
    pq.write_table(table, folder / "plan.parquet", compression="zstd")


# Sweeps.


@cache
def _swept() -> Path:
    """What a sweep leaves, by an encoder that nothing was trained of."""
    folder = Path(tempfile.mkdtemp(prefix="xqr-bench-swept-"))
    (result,) = evaluate(toy(), ["mini"], metrics=["map", "rank_distance", "own_language_first"], intervals=False)
    sums = compact(result.ranks, np.asarray(result.ranks.articles), int(np.max(result.ranks.articles)) + 1)
    numbers = {"base": "static", "checkpoints": [25, 50, 100, 200], "recipe": {"updates": 4}}
    for one in list_runs(["demo"], ["alpha-0", "untrained"], [0, 1]):
        group = {"study": "ratio", "condition": "demo", "arm": one.arm.name, "seed": one.seed, "plan": "0" * 64}
        for percent in (0,) if one.arm.plan is None else (25, 50, 100, 200):
            about = {"run_group": group, "languages": ["de"], "trained": ["de", "en"], "weights": "0" * 64}
            save_compact({"raw": sums, "centred": sums}, about, folder / one.id / f"checkpoint-{percent:03d}.npz")
        save_record(result.model_copy(update={"run_group": group}), folder / one.id / "mini.json")
        done = {"id": one.id, "run_group": group, "numbers": numbers, "scores": {}, "seconds": {"reading": 0.5}}
        done |= {"distinct_query_vectors": {"de": 1.0, "en": None}, "files": {}}
        done |= {"training": {"weights_digest": "0" * 64}}
        (folder / one.id / "run.json").write_text(json.dumps(done), encoding="utf-8")
    (folder / "study.json").write_text(json.dumps({"numbers": numbers, "chosen_by": "recipe", "seed": 1}))
    chosen = {"learning_rate": 0.1, "temperature": 0.1, "updates": 4}
    steps = [{**chosen, "monolingual": 0.1, "multilingual": 0.1, "criterion": 0.1, "runs": 1}]
    tuning = {"chosen": chosen, "arms": ["alpha-0"], "seeds": [0], "first_step": steps, "second_step": steps}
    (folder / "tuning.json").write_text(json.dumps(tuning))
    return folder


def _write_sweep(folder: Path) -> None:
    shutil.copytree(_swept(), folder, dirs_exist_ok=True)
    _repair_sweep(folder)


def _repair_sweep(folder: Path) -> None:
    """Make each run name the digests that its files have."""
    for path in folder.rglob("run.json"):
        digests = {file.name: sha256_of(file) for file in path.parent.iterdir() if file != path}
        edit(path, lambda data: data.update(files=digests))  # noqa: B023


def _read_sweep(folder: Path, path: Path) -> None:
    number = path.stat().st_size
    load_results(folder, "demo", view=("raw", "centred")[number % 2], percent=(25, 100)[number // 2 % 2])
    choose_numbers(folder)
    if number % 8 == 1:
        write_summary(sweep_of(folder), "0" * 64)
    if number % 8 == 0:
        build_ratios(Asked(folder, PLAN, resamples=100, conditions=("demo",)))


# Records and their ranks.


def _write_record(folder: Path) -> None:
    place = folder / "made"
    ran("evaluate", "char-ngrams", "--task", str(task_folder() / "tiny.toml"), "--output", str(place))
    (made,) = place.iterdir()
    for path in made.iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(place)


def _figures(data: Any) -> Any:
    """The figures of a record's JSON."""
    return [data["scores"], [under.get("scores") for under in data.get("relevance", {}).values()]]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-8, abs_tol=1e-11)
    return bool(one == other)


@cache
def _whole_record() -> tuple[Any, Any]:
    with tempfile.TemporaryDirectory() as place:
        _write_record(Path(place))
        return read_json(Path(place) / "tiny.json"), load_ranks(Path(place) / "tiny.ranks.parquet")


def _read_record(folder: Path, path: Path) -> None:
    record = folder / "tiny.json"
    if command("recompute", record) == 0:
        (whole, ranks), now = _whole_record(), load_ranks(folder / "tiny.ranks.parquet")
        same = all(np.array_equal(getattr(now, name), getattr(ranks, name)) for name in ("gt", "eq", "offsets"))
        assert not same or _same(_figures(read_json(record)), _figures(whole)), "figures contradict their ranks"
    others = (("compare", record, record), ("languages", record), ("export", "model-card", record), ("pools", record))
    command(*others[path.stat().st_size % len(others)])


def _repair_record(folder: Path) -> None:
    ranks = load_ranks(folder / "tiny.ranks.parquet")
    facts = {"digest": ranks_digest(ranks), "n_queries": ranks.n_queries, "n_relevants": ranks.n_relevants}
    edit(folder / "tiny.json", lambda data: data["ranks_file"].update(facts))


# A leaderboard of one submission, published figures and a study.


def _write_board(folder: Path) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    _write_record(scratch)
    ran("submit", str(scratch / "tiny.json"), "--leaderboard", str(folder / "board"))
    shutil.rmtree(scratch)
    (folder / "board" / "published").mkdir()
    figure = {"value": 0.3, "by_query_language": {"de": 0.2, "en": 0.4}}
    row = {"model": "a", "variant": "b", "task": "tiny", "scores": {"monolingual": {"map": figure}}}
    published = {"published_version": 1, "source": {"citation": "c", "url": "https://d.example"}, "rows": [row]}
    (folder / "board" / "published" / "paper.json").write_text(json.dumps(published), encoding="utf-8")
    save_ratios(made_up(), folder / "board" / "studies" / "ratio" / "ratios.json")
    ran("leaderboard", "build", "--leaderboard", str(folder / "board"), "--out", str(folder / "site"))
    shutil.rmtree(folder / "site")
    shown = ran("leaderboard", "show", "--leaderboard", str(folder / "board"), "--json").out
    (folder / "board.json").write_text(shown, encoding="utf-8")


def _read_board(folder: Path, _: Path) -> None:
    command("leaderboard", "verify", folder / "board", "--quiet")
    command("leaderboard", "show", "--leaderboard", folder / "board", "--no-tests")


def _read_board_json(folder: Path, _: Path) -> None:
    command("leaderboard", "build", "--json", folder / "board.json", "--out", folder / "site", "--quiet")
    with suppress(XqrBenchError):
        ratio_pages(load_ratios(folder / "board" / "studies" / "ratio" / "ratios.json"))


# Declarations of exposure, and training data that is searched.


def _write_declaration(folder: Path) -> None:
    counts = {kind: {"total": 1, "exact": 0, "near": 0, "touched": 0} for kind in ("question", "sentence")}
    searched = {"task": "tiny", "languages": ["de"], "texts_searched": 3, "near": 0.5, "counts": counts}
    level = {"level": "same source", "note": "n", "sources": ["s"]}
    for name, data in (
        ("declared", {"exposure": {"tiny": level}, "found": {"tiny": searched}}),
        ("searched", searched),
        ("short", {"exposure": {"tiny": "language only"}}),
    ):
        (folder / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")


def _read_declaration(_: Path, path: Path) -> None:
    read_declaration(str(path), "tiny")


def _write_searched(folder: Path) -> None:
    rows = [{"a": f"text {n}", "b": [f"more {n}"], "n": n} for n in range(6)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    (folder / "c.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "d.tsv").write_text("".join(f"{n}\ttext {n}\n" for n in range(6)), encoding="utf-8")
    (folder / "e.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n", mtime=0))
    columns = {"text": ["x", "y", None], "ids": [[1, 2], [], None], "n": [1, 2, 3]}
    pq.write_table(pa.table(columns), folder / "f.parquet")


def _read_searched(_: Path, path: Path) -> None:
    assert all(isinstance(text, str) for text, _ in read_texts([path]))


# Vectors made elsewhere, and the store of vectors.


def _write_vectors(folder: Path) -> None:
    place = folder / "vectors" / "tiny"
    place.mkdir(parents=True)
    for name, items in (("queries", tiny().queries), ("candidates", tiny().candidates)):
        np.save(place / f"{name}.npy", toy().encode_queries([item.text for item in items]))
        (place / f"{name}.ids.txt").write_text("".join(f"{item.id}\n" for item in items), encoding="utf-8")


def _read_vectors(folder: Path, _: Path) -> None:
    embed_tasks(load_encoder(f"precomputed:{folder / 'vectors'}"), [tiny()])


def _stored(folder: Path) -> Any:
    store = VectorStore(folder / "store")
    encoder = load_encoder(Kept())
    encoder.source = "kept"
    return embedder_of(encoder, store=store, observe=Seen())


class Kept(Toy):
    """An encoder whose vectors are kept."""

    name = "kept"


def _write_store(folder: Path) -> None:
    list(_stored(folder).embed([tiny()]))
    assert list(folder.rglob("*.safetensors"))


def _read_store(folder: Path, _: Path) -> None:
    contents(VectorStore(folder / "store"))
    verify_store(VectorStore(folder / "store"))
    (found,) = _stored(folder).embed([tiny()])
    assert np.array_equal(found.queries, toy().encode_queries([query.text for query in tiny().queries]))


# Training data, runs and tasks.


def _write_training(folder: Path) -> None:
    line = {"id": "q0", "languages": {c: {"query": f"ask {c}", "passage": f"say {c}"} for c in ("de", "en")}}
    lines = "".join(json.dumps({**line, "id": f"q{n}"}) + "\n" for n in range(4))
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    (folder / "bitext.de-en.tsv").write_text("ein\tone\nzwei\ttwo\n", encoding="utf-8")
    squad = folder / "squad"
    squad.mkdir()
    for language in ("de", "en"):
        document = {"version": "1", "data": [_article(language, number) for number in (0, 1)]}
        (squad / f"{language}.json").write_text(json.dumps(document), encoding="utf-8")
    mmarco = folder / "mmarco"
    for kind in ("queries", "collections"):
        (mmarco / kind).mkdir(parents=True)


def _read_training(folder: Path, path: Path) -> None:
    load_training_data(str(path if path.parent == folder else path.parent))


def _write_runs(folder: Path) -> None:
    ran("evaluate", "char-ngrams", "--task", str(task_folder() / "tiny.toml"), "--output", str(folder / "made"),
        "--trec-run", str(folder / "runs"))  # fmt: skip
    shutil.rmtree(folder / "made")
    packed = folder / "runs" / "tiny" / "monolingual.run.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()


def _write_predictions(folder: Path) -> None:
    """As mteb writes them."""
    data, lists = load_task(task_folder() / "tiny.toml"), dict[str, Any]()
    for query in data.queries:
        ranked = {one.id: 1.0 / n for n, one in enumerate(data.candidates, 1) if one.language == query.language}
        lists.setdefault(query.language, {"test": {}})["test"][query.id] = ranked
    by = {"mteb_model_meta": {"model_name": "lab/model", "revision": "1"}}
    (folder / "runs").mkdir()
    place = folder / "runs" / "XqrBench-tiny-monolingual_predictions.json"
    place.write_text(json.dumps(by | lists), encoding="utf-8")


def _read_runs(folder: Path, _: Path) -> None:
    evaluate(f"run:{folder / 'runs'}", [task_folder() / "tiny.toml"], intervals=False)


def _read_task(folder: Path, _: Path) -> None:
    load_task(folder / "tiny.toml")


# Words of the command line.


def _write_words(folder: Path) -> None:
    words = ("char-ngrams", "bm25", "random:3", "oracle", "run:x", "precomputed:x", "org/model", "a.py:B", "os:path")
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")


def _read_words(folder: Path, _: Path) -> None:
    content = (folder / "words.txt").read_bytes()
    for word in [part.decode("utf-8", "surrogateescape") for part in content.split(b"\n")][:3]:
        if "\0" in word:
            continue  # no argument can hold it
        command("evaluate", word, "--dry-run", "--limit", "1")
        command("evaluate", "char-ngrams", "--task", word, "--dry-run")
        command("exposure", "--task", "tiny", "--data", word)
        command("recompute", word)
        command("search", word, "where?")
        command("compare", word, word)
        command("train", "--data", word, "--base", word, "--output", folder / "m", "--dry-run")


TARGETS: dict[str, Target] = {
    "flat index": _index("flat", share=60, files=("*",)),
    "hnsw index": _index("hnsw", "m=4"),
    "ivf index": _index("ivf", "nlist=2", "nprobe=2", "min_points_per_centroid=1"),
    "ivfpq index": _index("ivfpq", "nlist=2", "nprobe=2", "m=4", "nbits=1", "min_points_per_centroid=1"),
    "plan": Target(_write_plan, _read_plan, 100, repair=_repair_plan),
    "sweep": Target(
        _write_sweep,
        _read_sweep,
        25,
        files=("*.npz", "run.json", "study.json", "tuning.json", "mini*"),
        repair=_repair_sweep,
    ),
    "record": Target(_write_record, _read_record, 120, files=("*.json",)),
    "ranks": Target(_write_record, _read_record, 160, files=("*.parquet",), repair=_repair_record),
    "board": Target(_write_board, _read_board, 25, files=("board/**/*",)),
    "board JSON": Target(_write_board, _read_board_json, 40, files=("board.json", "ratios.json")),
    "declaration": Target(_write_declaration, _read_declaration, 60),
    "searched data": Target(_write_searched, _read_searched, 80),
    "vectors": Target(_write_vectors, _read_vectors, 80),
    "store": Target(_write_store, _read_store, 60),
    "training data": Target(_write_training, _read_training, 80),
    "runs": Target(_write_runs, _read_runs, 80),
    "predictions": Target(_write_predictions, _read_runs, 60),
    "task": Target(write_task, _read_task, 80),
    "words": Target(_write_words, _read_words, 8),
}


def use_tiny_board(patch: Any) -> None:
    """Let the tiny task be the one of the leaderboard."""
    spec = load_spec(task_folder() / "tiny.toml")
    patch.setattr(facts, "list_specs", lambda: [spec])
