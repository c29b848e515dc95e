"""mteb both ways: our tasks in mteb, its predictions here, our records as its results; figures against its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.kit import PARTIAL, contents, edit, ran, read_json, run
from xqr_bench import evaluate
from xqr_bench.core.errors import UsageError
from xqr_bench.encode import load_encoder
from xqr_bench.record import Result, load_record, save_record
from xqr_bench.report.mteb_results import CUTOFFS
from xqr_bench.tasks import Selection
from xqr_bench.tasks.mteb import mteb_tasks

mteb = pytest.importorskip("mteb")

ROUNDED = 5.1e-6


class Ngrams:
    """char-ngrams behind mteb's protocol."""

    def __init__(self) -> None:
        from mteb.models import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": "ours/char-ngrams", "revision": "1", "similarity_fn_name": "cosine"}
        )
        self._encoder = load_encoder("char-ngrams")

    def encode(self, inputs: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **more: Any) -> Any:
        return self._encoder.encode_queries([text for batch in inputs for text in batch["text"]])

    def similarity(self, a: Any, b: Any) -> Any:
        a, b = (np.asarray(of) / np.linalg.norm(of, axis=1, keepdims=True) for of in (a, b))
        return a @ b.T

    def similarity_pairwise(self, a: Any, b: Any) -> Any:
        return np.diagonal(self.similarity(a, b))


class Both(NamedTuple):
    """What mteb and we make of one encoder, and where mteb put its files."""

    folder: Path
    theirs: dict[str, dict[str, dict[str, Any]]]
    ours: Result


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("mteb")
    tasks = mteb_tasks(PARTIAL)
    result = mteb.evaluate(
        Ngrams(),
        tasks,
        cache=mteb.ResultCache(folder),
        prediction_folder=folder / "predictions",
        co2_tracker=False,
        show_progress_bar=False,
    )
    theirs = {
        one.task_name.removeprefix("XqrBench-partial-"): {of["hf_subset"]: of for of in one.scores["test"]}
        for one in result.task_results
    }
    return Both(folder, theirs, evaluate(Ngrams(), PARTIAL))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def subsets(record: Result) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Setting, subset, and the figures that the record has of it."""
    for setting, scores in record.scores.items():
        parts = scores.by_language_pair if setting == "cross-lingual" else scores.by_query_language
        yield from ((setting, name, figures) for name, figures in parts.items())


def test_accuracy_and_recall_are_those_of_the_record(both: Both) -> None:
    seen = 0
    for setting, name, figures in subsets(both.ours):
        of_mteb = both.theirs[setting][name]
        assert not any(figure.tied_fraction for metric, figure in figures.items() if metric == "map")
        for metric, figure in figures.items():
            measure, _, k = metric.partition("@")
            if measure in ("recall", "ndcg"):
                assert of_mteb[f"{measure}_at_{k}"] == pytest.approx(figure.value, abs=ROUNDED)
                seen += 1
        assert of_mteb["accuracy"] == of_mteb["recall_at_1"]
        assert of_mteb["map_at_1000"] == pytest.approx(figures["map"].value, abs=ROUNDED)  # of pools below 1,000
    assert seen > 60
    names = {setting: set(of) for setting, of in both.theirs.items()}
    assert {(setting, name) for setting, name, _ in subsets(both.ours)} == {
        (setting, name) for setting, of in names.items() for name in of
    }


def test_what_is_exported_is_what_mteb_wrote(both: Both) -> None:
    save_record(both.ours, Path("results/ours/partial.json"))
    out = ran("export", "mteb", "results/ours/partial.json", "out").out
    made = Path("out/results/ours__char-ngrams/1")
    theirs = both.folder / "results" / "ours__char-ngrams" / "1"
    assert {path.name for path in made.iterdir()} == {path.name for path in theirs.iterdir()}
    assert set(contents(Path("out"))) == {line.removeprefix("wrote out/") for line in out.splitlines()}
    for path in theirs.glob("XqrBench*.json"):
        wrote, reference = read_json(made / path.name), read_json(path)
        assert list(wrote) == list(reference)
        assert {name: wrote[name] for name in ("dataset_revision", "task_name", "mteb_version")} == {
            name: reference[name] for name in ("dataset_revision", "task_name", "mteb_version")
        }
        ours, of_mteb = ({of["hf_subset"]: of for of in file["scores"]["test"]} for file in (wrote, reference))
        assert set(ours) == set(of_mteb)
        for name, scores in of_mteb.items():
            assert set(scores) - set(ours[name]) == {key for key in scores if key.startswith("nauc_")}
            assert list(ours[name]) == [key for key in scores if key in ours[name]]
            for key, value in ours[name].items():
                if isinstance(value, float):
                    assert value == pytest.approx(scores[key], abs=1.01e-5), (name, key)
                    assert value == round(value, 5)
                else:
                    assert value == scores[key]
    meta, reference = (read_json(of / "model_meta.json") for of in (made, theirs))
    assert list(meta) == list(reference)
    assert {key for key in meta if meta[key] != reference[key]} == {"embed_dim"}  # we know it
    lines = [json.loads(line) for line in (made / "run_settings.jsonl").read_text().splitlines()]
    reference = [json.loads(line) for line in (theirs / "run_settings.jsonl").read_text().splitlines()]
    for ours, of_mteb in zip(lines, reference, strict=True):
        assert list(ours) == list(of_mteb)
        assert (ours["task"], ours["splits"], ours["subsets"]) == (
            of_mteb["task"],
            of_mteb["splits"],
            of_mteb["subsets"],
        )
        assert ours["version"]["torch"] == of_mteb["version"]["torch"]
        assert ours["version"].keys() - of_mteb["version"].keys() == {"xqr-bench"}


def test_mteb_reads_what_is_exported(both: Both) -> None:
    save_record(both.ours, Path("a/partial.json"))
    ran("export", "mteb", "a/partial.json", "out", "--name", "any/name")
    (path,) = Path("out").rglob("XqrBench-partial-multilingual.json")
    assert path.parent.parent.name == "any__name"
    result = mteb.TaskResult.from_disk(path)
    (task,) = mteb_tasks(PARTIAL, settings=["multilingual"])
    assert not result.get_missing_evaluations(task)
    assert result.is_mergeable(task)
    macro = both.ours.scores["multilingual"].macro["ndcg@10"].value
    assert result.get_score() == pytest.approx(macro, abs=ROUNDED)
    cache = mteb.ResultCache("out")
    found = cache.load_task_result("XqrBench-partial-multilingual", "any/name", "1")
    assert found == result
    (of_model,) = cache.load_results(tasks=[task], validate_and_filter=False).model_results
    assert (of_model.model_name, of_model.model_revision) == ("any/name", "1")
    done = run("export", "mteb", "a/partial.json", "out", "--name", "any/name")
    assert done.code == 1
    assert "is there already" in done.err


def test_predictions_of_mteb_are_a_run(both: Both) -> None:
    done = ran("evaluate", f"run:{both.folder / 'predictions'}", "--task", str(PARTIAL))
    record = load_record("results/ours__char-ngrams/partial.json", ranks=True)
    assert record.ranks.depth is None  # 1,000 candidates are all there are
    identity = record.model.identity
    assert (identity.kind, identity.name, identity.revision) == ("run", "ours/char-ngrams", "1")
    assert record.provenance.settings["cross_check"]["multilingual"]["greatest_difference"] < 1e-9
    for setting, scores in both.ours.scores.items():
        for metric in ("map", "recall@10", "mrr", "rank_distance"):
            if metric in scores.macro:
                assert record.scores[setting].macro[metric].value == pytest.approx(scores.macro[metric].value)
    assert "xqr-bench" not in done.err


def test_predictions_that_end_are_a_cut_record(both: Both) -> None:
    def cut(data: dict[str, Any]) -> None:
        for subset in data.keys() - {"mteb_model_meta"}:
            for query, ranked in data[subset]["test"].items():
                best = sorted(ranked, key=lambda name: -ranked[name])[:12]
                data[subset]["test"][query] = {name: ranked[name] for name in best}

    Path("p").mkdir()
    name = "XqrBench-partial-multilingual_predictions.json"
    Path("p", name).write_bytes((both.folder / "predictions" / name).read_bytes())
    edit(Path("p", name), cut)
    ran("evaluate", "run:p", "--task", str(PARTIAL), "--name", "cut", "--metrics", "map,recall@10")
    record = load_record("results/cut/partial.json")
    assert (record.ranks_file.depth, list(record.scores)) == (12, ["multilingual"])
    exact = both.ours.scores["multilingual"].macro
    assert record.scores["multilingual"].macro["recall@10"].value == pytest.approx(exact["recall@10"].value)
    assert record.scores["multilingual"].macro["map"].value < exact["map"].value
    ran("export", "mteb", "results/cut/partial.json", "out")
    (path,) = Path("out").rglob("XqrBench-*.json")
    (first, *_) = read_json(path)["scores"]["test"]
    assert {key for key in first if key.startswith("map_at_")} == {f"map_at_{k}" for k in CUTOFFS if k <= 12}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "is empty"),
        ({"de": {"test": {"de:1": {"a": "high"}}}}, r"subset 'de': a score is no number"),
        ({"de": {"test": {"de:1": {"a": 1e39}}}}, r"subset 'de': a score is not finite"),
        ({"de": {"test": {"de:1": ["a"]}}}, "query 'de:1' is no object of JSON"),
        ({"de": {"train": {}}}, "it has the splits train, not test"),
        ({"de": {"test": {"de:nothing": {"a": 1.0}}}}, r"subset 'de': partial has no list 'de:nothing'"),
    ],
)
def test_bad_predictions(data: dict[str, Any], says: str) -> None:
    Path("p").mkdir()
    Path("p/XqrBench-partial-multilingual_predictions.json").write_text(json.dumps(data))
    done = run("evaluate", "run:p", "--task", str(PARTIAL))
    assert done.code == 1
    assert says.replace("\\", "") in done.err


def test_predictions_out(both: Both) -> None:
    """Of the TREC runs of a record; mteb takes them as the first stage of a reranking."""
    ran("evaluate", "char-ngrams", "--task", str(PARTIAL), "--trec-run", "runs")
    record, more = "results/char-ngrams/partial.json", ("--predictions", "runs", "--task", str(PARTIAL))
    ran("export", "mteb", record, "out", "--name", "ours/char-ngrams", *more)
    made, theirs = Path("out/predictions"), both.folder / "predictions"
    assert {path.name for path in made.iterdir()} == {path.name for path in theirs.iterdir()}
    for path in made.iterdir():
        ours, of_mteb = read_json(path), read_json(theirs / path.name)
        assert ours.pop("mteb_model_meta")["model_name"] == of_mteb.pop("mteb_model_meta")["model_name"]
        assert set(ours) == set(of_mteb)
        for subset in ours:
            lists = of_mteb[subset]["test"]
            assert ours[subset]["test"].keys() == lists.keys()
            for query, ranked in ours[subset]["test"].items():
                assert ranked == pytest.approx(lists[query], abs=1e-6)
    (task,) = mteb_tasks(PARTIAL, settings=["multilingual"])
    assert task.convert_to_reranking(made, top_k=5).dataset["de"]["test"]["top_ranked"]
    ran("evaluate", "random:1", "--task", str(PARTIAL), "--quiet")
    done = run("export", "mteb", "results/random/partial.json", "other", *more)
    assert done.code == 1
    assert "are not those of the record of random" in done.err


def test_what_mteb_has_no_place_for() -> None:
    ran("evaluate", "char-ngrams", "--limit", "2", "--languages", "de,en", "--quiet")
    done = run("export", "mteb", "results/char-ngrams/mini.json", "out")
    assert done.code == 1
    assert "is of a part of the task" in done.err
    assert not Path("out").exists()
    with pytest.raises(UsageError, match="has none of these settings"):
        mteb_tasks("ntrex", settings=["monolingual"])
    (task,) = mteb_tasks("mini", settings=["multilingual"], select=Selection(("de", "en")))
    assert task.metadata.name == "XqrBench-mini-part-multilingual"


def test_a_record_names_no_file_outside(both: Both) -> None:
    identity = both.ours.model.identity.model_copy(update={"revision": "../../.."})
    model = both.ours.model.model_copy(update={"identity": identity})
    save_record(both.ours.model_copy(update={"model": model}), Path("a/partial.json"))
    done = run("export", "mteb", "a/partial.json", "out/deep/deeper")
    assert done.code == 1
    assert "is no name of a file" in done.err
