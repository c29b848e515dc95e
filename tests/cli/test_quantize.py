"""Quantised vectors on the command line: what is written, what is told, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.kit import ran, run, words
from xqr_bench import evaluate
from xqr_bench.rank.quantize import QuantizeOptions
from xqr_bench.record import load_record

FEW = ("--languages", "de,en", "--metrics", "map,rank_distance", "--no-cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of the vectors as encoded, of one stage and of two."""
    place = tmp_path_factory.mktemp("results")
    for more in ((), ("--quantize", "int8"), ("--quantize", "binary", "--rescore", "0")):
        ran("evaluate", "char-ngrams", *FEW, *more, "--output", str(place), "--quiet")
    return place


def test_records_of_their_own(folder: Path) -> None:
    plain, int8, binary = (
        load_record(folder / name / "mini.json", ranks=True)
        for name in ("char-ngrams", "char-ngrams_int8", "char-ngrams_binary-rescore0")
    )
    assert (plain.quantization, plain.provenance.settings["quantize"]) == (None, None)
    assert int8.model.name == "char-ngrams+int8"
    assert (int8.provenance.settings["quantize"], int8.provenance.settings["rescore"]) == ("int8", 40)
    assert int8.quantization.rescored.pool >= 40
    assert int8.quantization.rescored.language >= 36  # all there are of a language
    assert (binary.quantization.bytes_per_vector, binary.quantization.rescore) == (256, 0)
    assert binary.scores["multilingual"].macro["map"].tied_fraction > 0.1  # of Hamming distances many are the same
    assert int8.ranks.own_lists
    assert not binary.ranks.own_lists
    for name in ("char-ngrams_int8", "char-ngrams_binary-rescore0"):
        assert run("recompute", str(folder / name / "mini.json")).code == 0
    again = ran("evaluate", "char-ngrams", *FEW, "--quantize", "int8", "--output", str(folder))
    assert "vectors: int8, 2,048 bytes each, the best 40 of each list scored anew" in words(again.out)
    assert "is there already" in words(again.err)
    in_python = evaluate("char-ngrams", languages=["de", "en"], cache=False, quantize=QuantizeOptions("int8"))
    assert in_python.ranks_file.digest == int8.ranks_file.digest


def test_compare_says_which_is_quantised(folder: Path) -> None:
    paths = [str(folder / name / "mini.json") for name in ("char-ngrams", "char-ngrams_int8")]
    done = ran("compare", *paths, "--resamples", "200")
    assert "quantised vectors: char-ngrams float32; char-ngrams+int8 int8, rescored 40" in words(done.out)


def test_runs_balanced_and_transformed(tmp_path: Path) -> None:
    given = ("evaluate", "char-ngrams", *FEW, "--quantize", "ubinary", "--rescore", "3", "--output", str(tmp_path))
    ran(*given, "--quiet", "--trec-run", str(tmp_path / "runs"), "--transform", "center")
    record = load_record(tmp_path / "char-ngrams_center_ubinary-rescore3" / "mini.json")
    assert record.transform.name == "center"
    lines = gzip.decompress((tmp_path / "runs" / "mini" / "multilingual.run.gz").read_bytes()).decode().splitlines()
    scores = [float(line.split()[4]) for line in lines]
    assert all(
        a >= b
        for a, b, one, other in zip(scores, scores[1:], lines, lines[1:], strict=False)
        if one.split()[0] == other.split()[0]
    )
    ran(*given, "--quiet", "--balanced")
    assert (tmp_path / "char-ngrams_ubinary-rescore3__balanced" / "mini.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("char-ngrams", "--quantize", "int4"), "no precision named 'int4'"),
        (("char-ngrams", "--quantize", "int8", "--rescore", "many"), "--rescore cannot be 'many'"),
        (("char-ngrams", "--rescore", "3"), "--rescore is given without --quantize"),
        (("char-ngrams", "--quantize", "int8", "--index", "flat"), "an index holds vectors of its own"),
        (("char-ngrams", "--quantize", "int8", "--score-device", "cuda"), "are ranked on the processor"),
        (("bm25", "--quantize", "int8"), "--quantize cannot be used with bm25"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    done = run("evaluate", *arguments, "--output", str(tmp_path))
    assert (done.code, problem in words(done.err)) == (1, True), done.err
    assert list(tmp_path.iterdir()) == []
