"""Of which kind a saved model is, from its files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xqr_bench.core.errors import EncoderError
from xqr_bench.encode.kinds import class_of_saved

SAYS = "config_sentence_transformers.json"
CLASSIFIER = {"architectures": ["XLMRobertaForSequenceClassification"]}
SPLADE = {"type": "sentence_transformers.sparse_encoder.models.SpladePooling"}
DENSE = {"type": "sentence_transformers.models.Transformer"}


def kind_of(folder: Path, files: dict[str, Any]) -> str:
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return class_of_saved("it", lambda name: str(folder / name) if (folder / name).is_file() else None)


@pytest.mark.parametrize(
    ("library", "files"),
    [
        ("SentenceTransformer", {"modules.json": [DENSE]}),
        ("SentenceTransformer", {SAYS: {"prompts": {}}, "modules.json": [DENSE]}),
        ("SparseEncoder", {SAYS: {"model_type": "SparseEncoder"}, "modules.json": [DENSE]}),
        (
            "SparseEncoder",
            {"modules.json": [DENSE, SPLADE]},
        ),
        ("MultiVectorEncoder", {SAYS: {"model_type": "ColBERT"}, "modules.json": [DENSE]}),
        ("MultiVectorEncoder", {SAYS: {}, "modules.json": [DENSE, {"type": "pylate.models.Dense.Dense"}]}),
        ("MultiVectorEncoder", {"config.json": {"architectures": ["HF_ColBERT"]}, "artifact.metadata": {}}),
        ("CrossEncoder", {"config.json": CLASSIFIER}),
        # what the library makes of both as a SentenceTransformer is what it always made of them
        ("SentenceTransformer", {"config.json": {"architectures": ["BertForMaskedLM"]}}),
        ("SentenceTransformer", {"config.json": {"architectures": ["XLMRobertaModel"]}}),
        # a dense model that somebody trained from a classifier
        (
            "SentenceTransformer",
            {"modules.json": [DENSE], "config.json": CLASSIFIER},
        ),
    ],
)
def test_the_kind_of_a_saved_model(tmp_path: Path, library: str, files: dict[str, Any]) -> None:
    assert kind_of(tmp_path, files) == library


@pytest.mark.parametrize(
    ("message", "files"),
    [
        (
            "settings of ColBERT.*\n.*Bert",
            {"config.json": {"architectures": ["Bert"]}, "artifact.metadata": {}},
        ),
        ("modules.json cannot be read\n.*dict", {"modules.json": {}}),
        ("model_type 7", {SAYS: {"model_type": 7}}),
        ("cannot be read", {SAYS: []}),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, message: str, files: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match=message):
        kind_of(tmp_path, files)
