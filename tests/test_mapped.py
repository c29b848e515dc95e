"""Arrays in files: as if they were in memory, and what is read of them is not kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.encode.test_precomputed import write
from tests.encode.toys import TOY
from tests.kit import small_task, vectors
from xqr_bench.core.errors import EncoderError
from xqr_bench.core.mapped import Room, in_parts, read, release, taken
from xqr_bench.encode import embedder_of, load_encoder
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.rank.exact import exact_ranks


def in_file(array: np.ndarray) -> np.ndarray:
    copy = Room(0).zeros(array.shape)
    copy[:] = array
    return copy


def resident(array: np.ndarray) -> int:
    """KiB of the process's memory that are pages of files."""
    array.sum()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssFile"))


def test_a_room_is_memory_first_and_files_after(tmp_path: Path) -> None:
    room = Room(1000, tmp_path)
    first, second, third = (room.zeros(shape) for shape in ((100, 2), (100, 2), (50, 1)))
    assert [isinstance(one.base, np.memmap) for one in (first, second, third)] == [False, True, False]
    for one in (first, second, third):
        assert (one.dtype, one.any(), one.flags.c_contiguous, one.flags.writeable) == (np.float32, False, True, True)
    assert list(tmp_path.iterdir()) == []  # the file has no name
    assert not isinstance(Room().zeros((1000, 1000)).base, np.memmap)
    assert Room(0).zeros((0, 4)).shape == (0, 4)


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    assert isinstance(Room(0, tmp_path / "missing").zeros((2, 2)).base, np.memmap)


def test_reading_leaves_nothing_in_memory() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("reads /proc")
    array = in_file(vectors(40_000, 0, dimensions=200))
    release(array)
    full = resident(array)  # 32 MB
    for start, part in in_parts(array[:, :]):
        assert len(part) == min(8192, 40_000 - start)
        part.sum()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    now = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssFile"))
    assert full - now > 30_000


def test_parts_rows_and_copies_are_those_of_the_array() -> None:
    plain = vectors(9000, 1, dimensions=3)
    mapped = in_file(plain)
    rows = np.random.default_rng(0).permutation(9000)[:1500]
    for array in (plain, mapped):
        np.testing.assert_array_equal(np.concatenate([part for _, part in in_parts(array)]), plain)
        np.testing.assert_array_equal(taken(array, rows), plain[rows])
        np.testing.assert_array_equal(read(array[10:8999]), plain[10:8999])
    assert read(plain) is plain


def test_changes_that_are_not_the_file_s_are_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(5000))
    array = np.load(tmp_path / "a.npy", mmap_mode="c")
    array[:] = 1
    release(array)
    assert array.all()


def test_ranks_from_files_are_those_from_memory() -> None:
    data = small_task(30, {"a": 9000, "b": 700})
    queries, candidates = vectors(60, 0, dimensions=16), vectors(9700, 1, dimensions=16)
    candidates[5000:5300] = candidates[:300]
    for similarity in ("cosine", "dot"):
        plain = exact_ranks(data, queries, candidates, similarity=similarity)
        found = exact_ranks(data, in_file(queries), in_file(candidates), similarity=similarity)
        np.testing.assert_array_equal(found.gt, plain.gt)
        np.testing.assert_array_equal(found.eq, plain.eq)


@pytest.mark.parametrize("transform", [None, TransformOptions("center")])
def test_vectors_beyond_the_budget_are_the_same(tmp_path: Path, transform: TransformOptions | None) -> None:
    sources = ["char-ngrams", f"precomputed:{write(tmp_path / 'a', dtype='float32')}"]
    for source in [*sources, f"precomputed:{in_order(tmp_path / 'a', tmp_path / 'b')}"]:
        made = [
            next(iter(embedder_of(load_encoder(source), transform=transform, memory=memory).embed([TOY])))
            for memory in (None, 0)
        ]
        for role in ("queries", "candidates"):
            held, mapped = (getattr(one, role) for one in made)
            np.testing.assert_array_equal(mapped, held)
            assert isinstance(mapped.base, np.memmap)
            assert not isinstance(held.base, np.memmap)
        assert made[0].zero_candidates == made[1].zero_candidates


def in_order(source: Path, folder: Path) -> Path:
    """Precomputed vectors in the order of the task: they are not copied."""
    shutil.copytree(source, folder)
    for name in ("queries", "candidates"):
        path = folder / TOY.name / f"{name}.npy"
        np.save(path, np.load(path)[::-1])
        ids = path.with_suffix(".ids.txt")
        ids.write_text("\n".join(ids.read_text(encoding="utf-8").split("\n")[-2::-1]) + "\n", encoding="utf-8")
    return folder


def test_a_full_disk_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=8))
    for source in ("char-ngrams", f"precomputed:{write(tmp_path / 'a')}"):
        with pytest.raises(
            EncoderError, match=r"beyond --memory, and there is no room(.|\n)*0\.0 are free(.|\n)*TMPDIR"
        ):
            list(embedder_of(load_encoder(source), memory=0).embed([TOY]))
