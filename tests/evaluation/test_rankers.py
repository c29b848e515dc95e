"""Every family of rankers goes through the one loop; a new one is a class and an entry point."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from tests.encode.embedding_server import EmbeddingServer
from tests.kit import PARTIAL, Seen, page_blocks, page_text, ran, read_json, run_blocks
from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError
from xqr_bench.core.types import SETTINGS
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.baselines import LexicalRanker
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.ranker import RANKERS, HandedOn, Ranker
from xqr_bench.evaluation.runs import RunRanker
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.index import IndexOptions
from xqr_bench.rank.runs import TaskRuns
from xqr_bench.record import Record, load_record, recompute, save_record

GOLDEN = read_json(Path(__file__).parent / "golden.json")
"""Family -> setting -> MAP and rank distance on mini, from when each family had a loop of its own (commit 75c2c23)."""
PAGE = page_text("rankers.md")


def ranker(family: str, folder: Path) -> Ranker | str:
    encoder = load_encoder("char-ngrams")
    match family:
        case "exact":
            return VectorRanker(encoder)
        case "centred":
            return VectorRanker(encoder, TransformOptions("center"))
        case "flat" | "hnsw":
            return VectorRanker(encoder, index=IndexOptions(family))
        case "run":
            write = HandedOn(
                VectorRanker(encoder),
                lambda data, blocks: TaskRuns(data, folder, SETTINGS, tag="x", depth=10_000).write(blocks) and None,
            )
            evaluate(write, metrics=["map"])
            return RunRanker(folder)
    return family


def figures(record: Record) -> dict[str, dict[str, float | None]]:
    return {
        setting: {name: scores.macro[name].value for name in ("map", "rank_distance") if name in scores.macro}
        for setting, scores in record.scores.items()
    }


@pytest.mark.parametrize("family", GOLDEN)
def test_every_family_goes_through_the_one_loop(family: str, tmp_path: Path) -> None:
    seen = Seen()
    (record,) = evaluate(ranker(family, tmp_path / "runs"), observe=seen)
    assert figures(record) == {setting: pytest.approx(values, abs=1e-9) for setting, values in GOLDEN[family].items()}
    assert record.provenance.settings["limit"] is None
    assert "loading" in record.provenance.seconds
    assert seen.phases[0] == ("loading", 1)
    assert seen.ended == len(seen.phases)
    assert recompute(record)[1] == []


def test_a_record_is_given_when_its_task_is_done(tmp_path: Path) -> None:
    """The second task fails: the record of the first one is there already."""

    class Keeps(Seen):
        def made(self, result: object) -> None:
            save_record(result, tmp_path / "first.json")

    class Fails(LexicalRanker):
        def rank(self, tasks, observe):
            yield from super().rank(tasks[:1], observe)
            raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        evaluate(Fails(), ["mini", PARTIAL], observe=Keeps())
    assert load_record(tmp_path / "first.json", ranks=True).task.name == "mini"


@pytest.fixture
def by_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranker of docs/rankers.md, as if its package were installed."""
    (source,) = re.findall(r"^```python\n(# by_length\.py\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "by_length.py").write_text(source, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    ((group, named),) = tomllib.loads(shown)["project"]["entry-points"].items()
    points = [metadata.EntryPoint(name, value, group) for name, value in named.items()]
    installed = metadata.entry_points
    monkeypatch.setattr(
        metadata, "entry_points", lambda **asked: points if asked == {"group": group} else installed(**asked)
    )
    yield
    sys.modules.pop("by_length", None)


def test_what_a_new_ranker_costs(by_length: None) -> None:
    """The page's own program, and its command: a record like any other, and runs."""
    program, *_ = re.findall(r"^```python\n(from xqr_bench import.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {"print": lambda value: None}
    exec(compile(program, "docs/rankers.md", "exec"), names)
    command, *_ = re.findall(r"^```sh\nxqr-bench (.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)
    ran(*command.split(), "--trec-run", "runs", "--quiet")
    record = names["record"]
    assert isinstance(record, Record)
    saved = read_json(Path("results/by-length/mini.json"))
    assert saved["ranks_file"]["digest"] == record.ranks_file.digest
    assert saved["model"]["identity"]["revision"] == "short"
    assert saved["provenance"]["arguments"]["model"] == "by-length:short"
    (again,) = evaluate("run:runs")
    assert figures(again) == figures(record)


def test_the_page_runs(by_length: None) -> None:
    run_blocks("rankers.md", "--quiet")
    made = {path.parent.name for path in Path("results").glob("*/mini.json")}
    assert made == {"by-length", "Overlap", "my-scores", "rrf_bm25__char-ngrams_", "hybrid"}


def test_every_way_in(by_length: None, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each command of docs/ways-in.md, with the files of other pages and tiny models."""
    pytest.importorskip("mteb")
    folders = {
        "my-model": "model",
        "my-splade": "sparse_model",
        "my-colbert": "late_model",
        "my-reranker": "cross_encoder",
    }
    for name, fixture in folders.items():
        shutil.copytree(request.getfixturevalue(fixture), tmp_path / name)
    for page in ("encoders.md", "rankers.md"):
        for _, block in page_blocks(page, "python"):
            if named := re.match(r"# (\w+\.py)\n", block):
                Path(named[1]).write_text(block, encoding="utf-8")
            elif "np.save(" in block:
                exec(compile(block, page, "exec"), {})
    ran("evaluate", "char-ngrams", "--limit", "4", "--trec-run", "runs/my-system", "--quiet")
    rows = [line for line in page_text("ways-in.md").splitlines() if line.startswith("| ") and "`xqr-bench" in line]
    commands = [command for row in rows for command in re.findall(r"`xqr-bench (.*?)`", row)]
    assert len(rows) == 22
    with EmbeddingServer() as server:
        for place, command in enumerate(commands):
            words = [{"http://127.0.0.1:8000/v1": server.address}.get(word, word) for word in command.split()]
            more = () if "--limit" in words else ("--limit", "4")
            ran(*words, *more, "--metrics", "map", "--no-relevance", "--output", f"out/{place}", "--quiet")
            (path,) = Path("out", str(place)).glob("*/mini.json")
            assert load_record(path).scores
    sys.modules.pop("my_encoder", None)


def test_names_of_rankers(by_length: None) -> None:
    assert {"bm25", "random", "oracle", "run", "scores", "fuse", "by-length"} <= set(RANKERS)
    with opened("random:7") as found:
        assert found.identity.revision == "seed-7"
    for model in ("bm25:x", "oracle:1", "random:one"):
        with pytest.raises(UsageError), opened(model):
            pass
    with pytest.raises(XqrBenchError), opened("by-lengths"):
        pass


def test_a_ranker_without_scores_writes_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="oracle has no scores to write"), opened("oracle") as found:
        evaluate(HandedOn(found, lambda data, blocks: None))


def test_an_object_that_has_any_attribute_is_no_ranker() -> None:
    with pytest.raises(EncoderError, match="the encoder any returned an array of 1 dimensions instead of 2"):
        evaluate(MagicMock(name="any", similarity="cosine"), options=EncoderOptions(name="any"))

    class Closed:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(f"no {name}")

    with pytest.raises(
        EncoderError, match="cannot be asked whether it encodes\\n  found: RuntimeError: no encode_queries"
    ):
        evaluate(Closed())
