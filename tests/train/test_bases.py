"""What training starts from: short names of hub models, and a folder with an XLM-R that only transformers knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.build import parallel, tiny_xlm_r
from xqr_bench.train import TrainConfig, get_recipe, train
from xqr_bench.train.texts import distinct_texts

DATA = parallel(24, ["de", "en"])


@pytest.mark.parametrize(
    ("base", "name"), [("xlm-r-base", "FacebookAI/xlm-roberta-base"), ("labse", "sentence-transformers/LaBSE")]
)
def test_short_names_are_those_of_the_hub(base: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    class AskedError(Exception):
        pass

    def resolve(name: str, revision: str | None) -> Any:
        asked.append((name, revision))
        raise AskedError

    monkeypatch.setattr("xqr_bench.train.initial.resolve_model", resolve)
    with pytest.raises(AskedError):
        train(TrainConfig(base=base, data=[DATA], recipe=get_recipe("paper", updates=2, batch_size=4)))
    assert asked == [(name, None)]


def test_a_folder_with_an_xlm_r(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import XLMRobertaModel

    tiny_xlm_r(tmp_path / "xlm-r", distinct_texts([DATA]))
    capfd.readouterr()
    recipe = get_recipe("paper", updates=3, batch_size=4, max_length=64)
    result = train(TrainConfig(base=str(tmp_path / "xlm-r"), data=[DATA], recipe=recipe, output=tmp_path / "trained"))
    assert "Writing" not in capfd.readouterr().err, "a bar of transformers, among our own"
    assert (result.record.base.kind, result.record.base.name) == ("folder", "xlm-r")
    before = XLMRobertaModel.from_pretrained(tmp_path / "xlm-r").state_dict()
    after = XLMRobertaModel.from_pretrained(tmp_path / "trained").state_dict()
    assert before.keys() == after.keys()
    assert not torch.equal(before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"])
    assert result.model.encode_query(["ask 1 de"]).shape == (1, 16)
