"""A saved index: whole or not at all, and never taken for what it is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xqr_bench.rank.index_store as store
from tests.kit import PARTIAL, contents, edit, every_kill
from xqr_bench.core.errors import DataError, EncoderError, SavedIndexError, UnknownNameError, UsageError
from xqr_bench.core.files import sha256_of
from xqr_bench.encode import BoundEncoder, EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.char_ngrams import CharNgrams
from xqr_bench.rank.index import IndexOptions, indexed_ranks
from xqr_bench.rank.index_store import IndexSearcher, check_place, read_manifest, save_index
from xqr_bench.rank.product import unit_vectors
from xqr_bench.tasks import load_task


def encoder(model: object = "char-ngrams", **options: object) -> BoundEncoder:
    return load_encoder(model, EncoderOptions(**options))


def saved(folder: Path, bound: BoundEncoder | None = None, task: str = "mini", **restrict: object) -> Path:
    bound = bound or encoder()
    data = load_task(task, **restrict)
    found = embed_tasks(bound, [data])[data.name]
    options = IndexOptions.parse("hnsw", ["ef_search=400"])
    indexed = indexed_ranks(data, found.queries, found.candidates, options, similarity=bound.similarity)
    return save_index(folder, indexed, data, bound)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("saved") / "index")


@pytest.fixture
def copy(index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(index, tmp_path / "copy"))


def test_what_is_in_the_folder(index: Path) -> None:
    data = load_task("mini")
    names = {"index.json"} | {f"{code}.{kind}" for code in data.languages for kind in ("faiss", "ids.txt")}
    assert {path.name for path in index.iterdir()} == names
    ids = [line for code in data.languages for line in (index / f"{code}.ids.txt").read_text().splitlines()]
    assert ids == [candidate.id for candidate in data.candidates]
    manifest = read_manifest(index)
    assert (manifest.task.name, manifest.task.file, manifest.encoder.model) == ("mini", None, "char-ngrams")
    assert manifest.facts.recall_against_exact == {"1": 1.0, "10": 1.0, "100": 1.0}
    text = "".join(path.read_text(encoding="utf-8") for path in index.iterdir() if path.suffix != ".faiss")
    assert data.candidates[0].text not in text  # texts are under the licence of the data


def test_the_same_index_twice_has_the_same_files(index: Path, tmp_path: Path) -> None:
    again = saved(tmp_path / "again")
    for path in index.glob("*.faiss"):
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_the_answers_are_the_best_of_all_languages(index: Path) -> None:
    searcher = IndexSearcher(index)
    data = load_task("mini")
    bound = encoder()
    question = "Wie hoch ist der Leuchtturm?"
    found = embed_tasks(bound, [data])["mini"]
    scores = unit_vectors(found.candidates) @ unit_vectors(bound.encode_queries([question]))[0]
    best = np.argsort(-scores, kind="stable")[:10]
    hits = searcher.search(question)
    assert [hit.rank for hit in hits] == list(range(1, 11))
    assert [hit.score for hit in hits] == pytest.approx(scores[best].tolist(), abs=1e-6)
    assert {hit.id for hit in hits} == {data.candidates[i].id for i in best}
    texts = {candidate.id: candidate.text for candidate in data.candidates}
    assert all(hit.text == texts[hit.id] and hit.id.startswith(f"{hit.language}:") for hit in hits)


def test_only_some_languages(index: Path) -> None:
    searcher = IndexSearcher(index)
    assert {hit.language for hit in searcher.search("tower", 30, ["th", "el"])} == {"th", "el"}
    with pytest.raises(UnknownNameError, match=r"no language of the index .* named 'eng'\n  found: closest: en"):
        searcher.search("tower", 3, ["eng"])


def answering(fill: Callable[..., np.ndarray], columns: int) -> BoundEncoder:
    """Claims to be char-ngrams, and gives every question the same vector."""
    bound = encoder()
    bound.encode_queries = lambda texts: fill((len(texts), columns), dtype=np.float32)
    return bound


def test_questions_that_cannot_be_asked(index: Path) -> None:
    searcher = IndexSearcher(index)
    with pytest.raises(UsageError, match="the question is empty\n  to do: ask something"):
        searcher.search(" \n")
    with pytest.raises(UsageError, match="k cannot be 0"):
        searcher.search("tower", 0)
    with pytest.raises(EncoderError, match=r"of only zeros.*\n  found: zeros for the question 'tower'"):
        IndexSearcher(index, encoder=answering(np.zeros, 2048)).search("tower")


def test_a_part_of_a_task_is_searched_as_that_part(tmp_path: Path) -> None:
    folder = saved(tmp_path / "part", languages=["de", "en"], limit=3)
    manifest = read_manifest(folder)
    assert (manifest.task.languages, manifest.task.limit) == (["de", "en"], 3)
    assert {hit.language for hit in IndexSearcher(folder).search("tower", 50)} == {"de", "en"}


# Where it may be saved.


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists and is no saved index\n  to do: name a new folder"):
        check_place(tmp_path / "notes", overwrite=True)
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", overwrite=False)


def test_an_index_is_replaced_only_when_asked(copy: Path) -> None:
    with pytest.raises(UsageError, match="holds an index already\n  to do: name a new folder, or give --overwrite"):
        check_place(copy, overwrite=False)
    data, bound = load_task("mini", languages=["de", "en"]), encoder()
    found = embed_tasks(bound, [data])["mini"]
    indexed = indexed_ranks(data, found.queries, found.candidates, IndexOptions("flat"))
    save_index(copy, indexed, data, bound, overwrite=True)
    assert {path.name for path in copy.iterdir()} == {
        "index.json", "de.faiss", "de.ids.txt", "en.faiss", "en.ids.txt"
    }  # fmt: skip
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_an_index_is_replaced_whole_or_not_at_all(copy: Path, tmp_path: Path) -> None:
    """Killed at any point, the old index is there or the new one, with all its files."""
    data, bound, before = load_task("mini", languages=["de", "en"]), encoder(), contents(copy)
    found = embed_tasks(bound, [data])["mini"]
    indexed = indexed_ranks(data, found.queries, found.candidates, IndexOptions("flat"))
    save_index(tmp_path / "new", indexed, data, bound)

    def begin() -> None:
        shutil.rmtree(copy)
        copy.mkdir()
        for name, content in before.items():
            (copy / name).write_bytes(content)

    seen = []
    for _ in every_kill(copy, begin, lambda: save_index(copy, indexed, data, bound, overwrite=True)):
        searcher = IndexSearcher(copy)
        seen.append(len(searcher.languages))
        assert len(searcher.search("a question", k=3)) == 3  # opens the files of all languages
        save_index(copy, indexed, data, bound, overwrite=True)
        assert contents(copy) == contents(tmp_path / "new")
    assert (seen[0], seen[-1]) == (11, 2)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(SavedIndexError, match=r"cannot write the index .*: No space left on device"):
        saved(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


# What is refused when it is opened or asked.


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(SavedIndexError, match="nowhere does not exist"):
        IndexSearcher(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(SavedIndexError, match=r"holds no index\n  found: a.txt"):
        IndexSearcher(tmp_path)


Change = Callable[[Any], object]
OTHER: dict[str, tuple[Change, str]] = {
    "damaged": (lambda content: content["facts"].pop("type"), "index.json is damaged: facts.type: Field required"),
    "format": (lambda content: content.update(format="x 2"), r"not of the format 'xqr-bench index 1'\n  found: 'x 2'"),
    "encoder": (
        lambda content: content["encoder"]["identity"].update(revision="0"),
        r"was made with another encoder\n  found: revision 0 in the index, 1 now\n  to do: name the encoder",
    ),
    "data": (lambda content: content["task"].update(digest="0" * 64), "was made from other data of mini"),
    "options": (
        lambda content: content["encoder"]["options"].update(magic=1),
        r"options that this version does not have\n  found: magic",
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_manifest_that_does_not_fit(copy: Path, name: str) -> None:
    change, message = OTHER[name]
    edit(copy / "index.json", change)
    with pytest.raises(SavedIndexError, match=message):
        IndexSearcher(copy)


def test_a_manifest_that_is_no_json(copy: Path) -> None:
    (copy / "index.json").write_text("{")
    with pytest.raises(SavedIndexError, match=r"index.json is damaged: Expecting property name"):
        IndexSearcher(copy)


def test_damaged_files(copy: Path) -> None:
    path = copy / "de.faiss"
    path.write_bytes(path.read_bytes()[:-9])
    searcher = IndexSearcher(copy)
    assert searcher.search("tower", languages=["en"])  # the other languages are whole
    with pytest.raises(SavedIndexError, match=r"de.faiss is damaged: it is not the file that was written"):
        searcher.search("tower")
    path.unlink()
    with pytest.raises(SavedIndexError, match=r"lacks de.faiss"):
        IndexSearcher(copy).search("tower")


@pytest.mark.parametrize(
    ("name", "kind", "content", "message"),
    [
        ("de.faiss", "index", b"of a later version", "de.faiss cannot be read by this version of FAISS"),
        ("de.ids.txt", "ids", b"de:0:0:0\n", "de.ids.txt holds other ids than those of mini"),
        ("de.ids.txt", "ids", b"\xff\n", "de.ids.txt holds other ids than those of mini"),
    ],
)
def test_files_whose_digest_is_right(copy: Path, name: str, kind: str, content: bytes, message: str) -> None:
    (copy / name).write_bytes(content)
    digest = sha256_of(copy / name)
    edit(copy / "index.json", lambda manifest: manifest["files"]["de"].update({kind: digest}))
    with pytest.raises(SavedIndexError, match=message):
        IndexSearcher(copy).search("tower")


def test_another_encoder_by_the_number_of_columns(index: Path) -> None:
    with pytest.raises(SavedIndexError, match=r"another encoder\n  found: 2048 columns in the index, 3 now"):
        IndexSearcher(index, encoder=answering(np.ones, 3)).search("tower")


def test_data_of_another_task_or_gone(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(SavedIndexError, match=r"is not of the task partial\n  found: it was made from mini"):
        IndexSearcher(copy, task=PARTIAL)
    edit(copy / "index.json", lambda content: content["task"].update(name="xquad-r"))
    with pytest.raises(DataError):
        IndexSearcher(copy, data_dir=tmp_path / "none")


def test_precomputed_vectors_cannot_encode_a_question(tmp_path: Path) -> None:
    data = load_task("mini", languages=["de", "en"])
    folder = tmp_path / "vectors" / "mini"
    folder.mkdir(parents=True)
    for name, items in (("queries", data.queries), ("candidates", data.candidates)):
        np.save(folder / f"{name}.npy", np.random.default_rng(0).standard_normal((len(items), 8)))
        (folder / f"{name}.ids.txt").write_text("".join(f"{item.id}\n" for item in items))
    index = saved(tmp_path / "index", encoder(f"precomputed:{tmp_path / 'vectors'}"), languages=["de", "en"])
    with pytest.raises(SavedIndexError, match="there is no encoder to encode a question with"):
        IndexSearcher(index)


def test_an_encoder_in_memory_has_to_be_given_again(tmp_path: Path) -> None:
    bound = encoder(CharNgrams())
    folder = saved(tmp_path / "index", bound, languages=["de", "en"])
    with pytest.raises(SavedIndexError, match="by an encoder without a MODEL string: CharNgrams"):
        IndexSearcher(folder)
    assert IndexSearcher(folder, encoder=CharNgrams()).search("tower")
    assert IndexSearcher(folder, encoder=bound).search("tower")


def test_options_of_the_encoder_are_taken_up_again(tmp_path: Path) -> None:
    options = {"name": "other", "query_prompt": "tower ", "similarity": "dot", "candidate_context": "paragraph"}
    folder = saved(tmp_path / "index", encoder(batch_size=7, **options), languages=["de", "en"])
    manifest = read_manifest(folder)
    assert (manifest.encoder.options, manifest.similarity) == (options, "dot")
    searcher = IndexSearcher(folder)
    assert searcher.encoder.identity.candidate_context == "{sentence}\n{paragraph}"
    assert "\n" not in searcher.search("lighthouse")[0].text  # what is shown is the sentence


def test_code_runs_only_where_the_user_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "mine.py"
    code.write_text("from xqr_bench.encode.char_ngrams import CharNgrams\n\nclass Mine(CharNgrams):\n    pass\n")
    folder = saved(tmp_path / "index", encoder(f"{code}:Mine"), languages=["de", "en"])
    assert IndexSearcher(folder, encoder=f"{code}:Mine").search("tower")  # unasked: tests/test_hostile_files.py
    code.write_text(code.read_text() + "# changed\n")
    with pytest.raises(SavedIndexError, match=r"was made with another encoder\n  found: digest .* in the index"):
        IndexSearcher(folder, encoder=f"{code}:Mine")

    folder = saved(tmp_path / "other", languages=["de", "en"])
    hostile = {"model": "someone/model", "options": {"trust_remote_code": True}}
    edit(folder / "index.json", lambda content: content["encoder"].update(hostile))
    asked: list[EncoderOptions] = []
    monkeypatch.setattr(store, "load_encoder", lambda model, options: asked.append(options) or encoder())
    IndexSearcher(folder)
    IndexSearcher(folder, options=EncoderOptions(trust_remote_code=True))
    assert [options.trust_remote_code for options in asked] == [False, True]
