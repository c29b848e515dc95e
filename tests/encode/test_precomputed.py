"""Vectors from files: matched by id, and every way in which they can fail to match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.encode.toys import TOY, vector_of
from tests.kit import make_task
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder


def write(folder: Path, task: TaskData = TOY, dtype: str = "float16") -> Path:
    """Vectors of a task in the documented layout, rows in reverse order."""
    (folder / task.name).mkdir(parents=True)
    for name, items in (("queries", task.queries), ("candidates", task.candidates)):
        rows = [vector_of(item.text) for item in reversed(items)]
        np.save(folder / task.name / f"{name}.npy", np.array(rows, dtype))
        ids = "".join(f"{item.id}\n" for item in reversed(items))
        (folder / task.name / f"{name}.ids.txt").write_text(ids, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "my-model")


def embed(folder: Path, task: TaskData = TOY, **options: object) -> tuple[list[str], np.ndarray]:
    bound = load_encoder(f"precomputed:{folder}", EncoderOptions(**options))
    found = embed_tasks(bound, [task])[task.name]
    return bound.warnings_for(task.name), found.candidates


def test_rows_are_matched_by_id(folder: Path) -> None:
    bound = load_encoder(f"precomputed:{folder}")
    found = embed_tasks(bound, [TOY])["toy"]
    for items, vectors in ((TOY.queries, found.queries), (TOY.candidates, found.candidates)):
        expected = np.array([vector_of(item.text) for item in items], np.float16).astype(np.float32)
        np.testing.assert_array_equal(vectors, expected)
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous
    assert (found.truncated, found.distinct_texts, bound.warnings) == (None, 8, [])
    identity = bound.identity
    assert (bound.name, identity.kind, identity.name, identity.dtype) == (
        "my-model",
        "precomputed",
        "my-model",
        "float16",
    )
    assert (identity.dimensions, identity.similarity, bound.device) == (3, "cosine", None)


def test_options_that_apply_and_those_that_do_not(folder: Path) -> None:
    bound = load_encoder(f"precomputed:{folder}", EncoderOptions(name="mine", similarity="dot", truncate_dim=2))
    assert embed_tasks(bound, [TOY])["toy"].dimensions == 2
    assert (bound.name, bound.identity.name, bound.similarity) == ("mine", "my-model", "dot")
    with pytest.raises(UsageError, match="--device, --query-prompt cannot be used with precomputed vectors"):
        load_encoder(f"precomputed:{folder}", EncoderOptions(device="cpu", query_prompt="q: "))


def test_the_digest_follows_the_bytes(folder: Path) -> None:
    first = load_encoder(f"precomputed:{folder}").identity.digest
    (folder / "README.md").write_text("notes")
    assert load_encoder(f"precomputed:{folder}").identity.digest == first
    path = folder / "toy" / "queries.npy"
    np.save(path, np.load(path) * 2)
    assert load_encoder(f"precomputed:{folder}").identity.digest != first


def test_ids_beyond_the_task_are_left_aside_and_mentioned_only_for_a_whole_task(folder: Path) -> None:
    part = make_task({"de": ["Wer schrieb es?"]}, {"de": ["Sie schrieb es."]})
    warnings, vectors = embed(folder, part)
    assert len(vectors) == 1
    assert [warning.partition(" has ")[2] for warning in warnings] == [
        "3 ids that toy does not have; they are left aside (were the vectors made from another revision of the data?)"
    ] * 2
    assert embed(folder, replace(part, partial={"languages": ["de"]}))[0] == []


def test_equal_texts_with_different_vectors_are_a_warning(tmp_path: Path) -> None:
    task = make_task({"en": ["What?"]}, {"en": ["Same.", "Same.", "Other."]})
    folder = write(tmp_path / "m", task)
    assert embed(folder, task)[0] == []
    path = folder / "toy" / "candidates.npy"
    vectors = np.load(path)
    vectors[-1] += 1
    np.save(path, vectors)
    assert embed(folder, task)[0] == [
        "equal texts have different vectors: 1 distinct candidate texts of toy, the first is the candidate en:0:0:0 "
        "of toy ('Same.'); they do not tie as they would if each were encoded once"
    ]


def test_line_ends_of_windows(tmp_path: Path) -> None:
    folder = write(tmp_path / "vectors")
    for path in folder.glob("*/*.ids.txt"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert embed(folder, TOY)[0] == []


def change_ids(function: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "candidates.ids.txt"
        path.write_text("\n".join(function(path.read_text().splitlines())) + "\n")

    return change


def change_vectors(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        np.save(folder / "candidates.npy", function(np.load(folder / "candidates.npy")))

    return change


def zero_first(vectors: np.ndarray) -> np.ndarray:
    vectors[-1] = 0
    return vectors


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "queries.npy").unlink(),
            r"no precomputed vectors of toy: .*queries.npy does not exist\n  found: .* has: toy",
        ),
        (lambda f: (f / "queries.ids.txt").unlink(), r"queries.ids.txt does not exist"),
        (lambda f: (f / "queries.npy").write_bytes(b"no numpy"), r"queries.npy cannot be read as a .npy file"),
        (lambda f: (f / "queries.npy").write_bytes(b""), r"queries.npy cannot be read as a .npy file"),
        (lambda f: (f / "queries.ids.txt").write_bytes(b"\xff\xfe"), r"queries.ids.txt cannot be read as UTF-8"),
        (
            change_vectors(lambda v: v.astype(object)),
            r"cannot be read as a .npy file of numbers\n  found: .*Python objects",
        ),
        (change_vectors(np.ravel), r"does not hold one row a text\n  found: shape \(12,\)"),
        (
            change_vectors(lambda v: v[:, :2]),
            "different dimensions\n  found: 3 columns before, 2 for the candidate vectors of toy",
        ),
        (change_vectors(lambda v: v * np.float16("nan")), "found: nan for the candidate en:0:0:0 of toy"),
        (change_vectors(zero_first), "found: zeros for the candidate en:0:0:0 of toy"),
        (change_vectors(lambda v: v.astype(str)), "returned no real numbers"),
        (change_ids(lambda ids: ids[:-1]), r"candidates.ids.txt has 3 ids for the 4 rows of candidates.npy"),
        (change_ids(lambda ids: [ids[0], *ids[:-1]]), "has 1 ids more than once\n  found: the first is 'de:0:0:1'"),
        (
            change_ids(lambda ids: [*ids[:-2], "xx:0:0:0", "xx:0:0:1"]),
            "ids.txt lacks 2 of the 4 candidates of toy\n  found: no 'en:0:0:0'; the file begins with 'de:0:0:1'",
        ),
    ],
)
def test_what_does_not_match_is_refused(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder / "toy")
    with pytest.raises(EncoderError, match=message):
        embed(folder)


def test_zero_vectors_can_be_kept(folder: Path) -> None:
    change_vectors(zero_first)(folder / "toy")
    found = embed_tasks(load_encoder(f"precomputed:{folder}"), [TOY], allow_zero_vectors=True)["toy"]
    assert found.zero_candidates == {"en": 1}


def test_a_folder_must_be_there_and_hold_vectors(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"there is no folder .*nowhere with precomputed vectors"):
        load_encoder(f"precomputed:{tmp_path / 'nowhere'}")
    (tmp_path / "queries.npy").touch()
    with pytest.raises(
        EncoderError, match=r"holds no precomputed vectors\n  found: queries.npy\n  to do: the layout is DIR/"
    ):
        load_encoder(f"precomputed:{tmp_path}")
