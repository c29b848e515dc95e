"""A rehearsal of an encoder: each fault of a toy is told, a sound one has no problem, nor has a real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from tests.kit import ran, run, words
from xqr_bench.core.errors import UsageError
from xqr_bench.encode import EncoderOptions
from xqr_bench.evaluation.check import EncoderCheck, Finding, check_encoder
from xqr_bench.tasks import load_task


def letters(text: str) -> np.ndarray:
    """Unit length, another vector for another text; of an empty text too."""
    vector = np.zeros(64)
    vector[0] = 1
    for place, letter in enumerate(text):
        vector[1 + ord(letter) * 7919 % 63] += 1 + place % 5
    return vector / np.linalg.norm(vector)


class Sound:
    def encode(self, texts: list[str]) -> Any:
        return np.stack([letters(text) for text in texts])


class Noise(Sound):
    draw = np.random.default_rng(0)

    def encode(self, texts: list[str]) -> Any:
        return super().encode(texts) + self.draw.normal(scale=0.01, size=(len(texts), 64))


class NormalisedOverTheBatch(Sound):
    def encode(self, texts: list[str]) -> Any:
        rows = super().encode(texts)
        return rows - 0.1 * rows.mean(axis=0)


class SortedByLength(Sound):
    def encode(self, texts: list[str]) -> Any:
        return super().encode(sorted(texts, key=len))


class LastOfThePadded(Sound):
    """Reads the last characters of texts that are padded on the right."""

    def encode(self, texts: list[str]) -> Any:
        longest = max(map(len, texts))
        return np.stack([letters(text.ljust(longest)[-20:] + text[:5]) for text in texts])


class Longer(Sound):
    similarity = "dot"

    def encode(self, texts: list[str]) -> Any:
        return super().encode(texts) * np.array([[1.0 + len(text)] for text in texts])


class CutOff(Sound):
    def encode(self, texts: list[str]) -> Any:
        return super().encode([text[:400] for text in texts])


class CutOffAndTold(CutOff):
    def truncated(self, texts: list[str]) -> list[bool]:
        return [len(text) > 400 for text in texts]


class NoNumberOfNothing(Sound):
    def encode(self, texts: list[str]) -> Any:
        return super().encode(texts) * np.array([[1.0 if text.strip() else np.nan] for text in texts])


class NoNumbers(Sound):
    def encode(self, texts: list[str]) -> Any:
        return super().encode(texts) * np.array([[np.nan if "lighthouse" in text else 1.0] for text in texts])


class LatinAlone(Sound):
    def encode(self, texts: list[str]) -> Any:
        return super().encode(texts) * np.array([[float(any(letter < "\u0250" for letter in text))] for text in texts])


class OneVector(Sound):
    def encode(self, texts: list[str]) -> Any:
        return np.ones((len(texts), 4))


class Queries(Sound):
    def encode_queries(self, texts: list[str]) -> Any:
        return self.encode(["?" + text for text in texts])

    def encode_candidates(self, texts: list[str]) -> Any:
        return self.encode(texts)


def about(check: EncoderCheck) -> dict[str, Finding]:
    return {finding.about: finding for finding in check.findings}


@pytest.mark.parametrize(
    ("encoder", "where", "status", "told"),
    [
        (Noise(), "determinism", "problem", "scores differ by up to"),
        (NormalisedOverTheBatch(), "batch", "problem", "a text is read by those beside it"),
        (LastOfThePadded(), "batch", "problem", "padding is read as if it were text"),
        (SortedByLength(), "order", "problem", "in reversed order: scores differ"),
        (Longer(), "vectors", "note", "longer ones score more"),
        (CutOff(), "truncation", "note", "one vector, and are not reported"),
        (CutOffAndTold(), "truncation", "ok", "one vector, and are reported"),
        (NoNumberOfNothing(), "empty texts", "note", r"'', ' ', '\n' gives NaN"),
        (NoNumbers(), "vectors", "problem", "not finite"),
        (LatinAlone(), "vectors", "problem", "of only zeros"),
        (OneVector(), "distinct texts", "problem", "every language"),
        (Queries(), "roles", "ok", "queries and candidates differ"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Sound) else "",
)
def test_each_fault_is_told(encoder: Sound, where: str, status: str, told: str) -> None:
    check = check_encoder(encoder)
    finding = next(one for one in check.findings if one.about == where)
    assert (finding.status, told in finding.found) == (status, True), finding
    assert {one.about for one in check.problems} <= {where}


def test_a_sound_one_has_no_problem() -> None:
    check = check_encoder(Sound(), EncoderOptions(query_prompt="query: "))
    found = about(check)
    assert check.problems == ()
    assert "read by encode" in found["model"].found
    assert found["sent: query"].found.startswith("query: How many")
    assert found["determinism"].found == "the same texts twice: the same bits"
    assert "in 19 languages" in found["distinct texts"].found
    assert check.identity.dimensions == 64


def test_a_model_is_seen_as_it_reads(model: Path) -> None:
    check = check_encoder(str(model))
    found = about(check)
    assert check.problems == ()
    assert found["sent: query"].found.startswith("[CLS] ask : how many")
    assert not found["sent: candidate"].found.startswith("[CLS] ask")
    assert found["padding"].found == "on the right; mean pooling"
    assert "Thai" in found["unknown tokens"].found  # its letters are those of English
    assert found["truncation"].status == "note"  # 64 tokens


def test_padding_on_the_wrong_side_is_found(model: Path) -> None:
    loaded = SentenceTransformer(str(model), device="cpu")
    loaded.tokenizer.padding_side = "left"  # its positions are counted from the left
    found = about(check_encoder(loaded))
    assert found["padding"].found == "on the left; mean pooling"
    assert found["batch"].status == "problem"
    assert "padding is read" in found["batch"].found


def test_vectors_made_before(tmp_path: Path) -> None:
    task = load_task("mini")
    for name, text in (("mini", ""), ("unheard-of", ""), ("wrong", "")):
        (tmp_path / name).mkdir()
        for role, items in (("queries", task.queries), ("candidates", task.candidates)):
            np.save(tmp_path / name / f"{role}.npy", Sound().encode([item.text for item in items]))
            ids = "".join(f"{item.id}{text}\n" for item in items)
            (tmp_path / name / f"{role}.ids.txt").write_text(ids, encoding="utf-8")
    check = check_encoder(f"precomputed:{tmp_path}")
    found = about(check)
    assert check.problems == ()
    assert found["task mini"].found == "64 dimensions, float64, length 1 to 1: all alike; cosine"
    assert "not looked at" in found["task unheard-of"].found
    assert "determinism" in found["not seen"].found
    (tmp_path / "mini" / "queries.ids.txt").write_text("", encoding="utf-8")
    assert [one.about for one in check_encoder(f"precomputed:{tmp_path}").problems] == ["task mini"]


def test_what_is_no_encoder_is_refused() -> None:
    for name in ("bm25", "random:3"):
        with pytest.raises(UsageError, match="does not give a text one dense vector"):
            check_encoder(name)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = ran("encoders", "check", "char-ngrams").out.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "no problem was found"
    assert "precomputed:DIR" in ran("encoders").out  # the list is still there
    (tmp_path / "mine.py").write_text("def vowels(texts):\n    return [[0.0, 0.0] for text in texts]\n")
    done = run("encoders", "check", f"{tmp_path}/mine.py:vowels", "--json", "--name", "zeros")
    assert done.code == 1
    read = json.loads(done.out)
    assert read["name"] == "zeros"
    assert read["identity"]["kind"] == "python"
    assert {"about", "status", "found", "remedy"} == read["findings"][0].keys()
    assert "problem" in {finding["status"] for finding in read["findings"]}
    assert "cannot be used with a Python encoder" in words(
        run("encoders", "check", f"{tmp_path}/mine.py:vowels", "--dtype", "float16").err
    )
