"""Files of others: unpacked, without a byte order mark, and every damage is an error of the family."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.kit import PARTIAL, ran, run, words
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.files import read_array, read_text, refuse_unwritable, write_text

PAIR = {"en": {"query": "why?", "passage": "so"}, "de": {"query": "wieso?", "passage": "darum"}}
TEXT = json.dumps({"id": "q1", "languages": PAIR}) + "\n"
TRAIN = ("--ratio", "0.5", "--updates", "2", "--batch-size", "2", "--output", "m", "--dry-run")


@pytest.mark.parametrize("name", ["plain.txt", "packed.txt.gz"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_is_the_same_packed_or_not_with_and_without_a_mark(tmp_path: Path, name: str, mark: str) -> None:
    content = f"{mark}é\r\n\ufeffx\n".encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_text(path) == "é\r\n\ufeffx\n"  # only the first mark is one


def damaged(content: bytes) -> dict[str, bytes]:
    """Gzip files that are none, end early, have a wrong check sum, or wrong bytes inside."""
    whole = gzip.compress(content * 50)
    wrong = bytearray(whole)
    wrong[12:20] = b"\xff" * 8
    return {"none": content, "short": whole[:-9], "sum": whole[:-8] + bytes(8), "bytes": bytes(wrong), "empty": b""}


@pytest.mark.parametrize("how", ["none", "short", "sum", "bytes"])
def test_a_damaged_gzip_file_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("corpus.jsonl.gz")
    path.write_bytes(damaged(TEXT.encode())[how])
    for command in (("train", "--data", str(path), *TRAIN), ("exposure", "--task", "mini", "--data", str(path))):
        done = run(*command)
        assert done.code == 1
        assert "corpus.jsonl.gz cannot be read" in words(done.err)


def test_a_mark_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = []
    for mark in ("", "\ufeff"):
        Path("corpus.jsonl").write_text(mark + TEXT * 1, encoding="utf-8")
        Path("task.toml").write_text(mark + PARTIAL.read_text(encoding="utf-8"), encoding="utf-8")
        for file in PARTIAL.parent.glob("*.json"):
            Path(file.name).write_bytes(file.read_bytes())
        shown.append(
            [
                ran("exposure", "--task", "mini", "--data", "corpus.jsonl", "--json").out,
                ran("tasks", "task.toml").out,
            ]
        )
    assert shown[0] == shown[1]


def test_only_arrays_are_read_from_npy(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    path = tmp_path / "x.npy"
    np.save(path, array)
    assert np.array_equal(read_array(path), array)
    good = path.read_bytes()
    header = good[10:128]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x", "y" * 100)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    wrong = {
        "half a zip": (tmp_path / "x.zip").read_bytes()[:60],
        "pickled objects": (tmp_path / "objects.npy").read_bytes(),
        "short": good[:-4],
        "an open bracket": good[:10] + header.replace(b"(3, 2)", b"((3, 2"),
        "an open text": good[:10] + header.replace(b"'shape'", b"'shape ") + good[128:],
        "a huge shape": good[:10] + header.replace(b"(3, 2), }        ", b"(3333333, 22222),}") + good[128:],
        "a negative shape": good[:10] + header.replace(b"(3, 2), ", b"(-3, 2),") + good[128:],
        "nothing": b"",
    }
    for what, content in wrong.items():
        path.write_bytes(content)
        with pytest.raises((ValueError, OSError)):
            print(what, read_array(path))


def test_a_number_of_5000_digits_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    huge = "9" * 5000
    Path("task.toml").write_text(f"name = 'x'\nrevision = {huge}\n")
    Path("corpus.jsonl").write_text(json.dumps({"id": "q"}).replace('"q"', huge) + "\n")
    for command in (
        ("tasks", "task.toml"),
        ("train", "--data", "corpus.jsonl", *TRAIN),
        ("exposure", "--task", "mini", "--data", "corpus.jsonl"),
    ):
        done = run(*command)
        assert done.code == 1
        assert "error: " in done.err


def test_nothing_takes_the_place_of_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for write in (lambda path: write_text(path, "x"), refuse_unwritable):
        with pytest.raises(XqrBenchError, match=r"cannot write .*pipe: it is no regular file"):
            write(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
