"""What training starts from: short names of hub models, and a folder with an XLM-R that only transformers knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.build import parallel
from xqr_bench.train import TrainConfig, get_recipe, train
from xqr_bench.train.static import learn_vocabulary
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


def test_a_folder_with_an_xlm_r(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    vocabulary = learn_vocabulary(distinct_texts([DATA]), 300)
    vocabulary.add_special_tokens(["<pad>", "<unk>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token="<pad>", unk_token="<unk>")
    pad = tokenizer.pad_token_id
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=pad + 66,  # positions are counted from the padding token on
        pad_token_id=pad,
    )
    XLMRobertaModel(config).save_pretrained(tmp_path / "xlm-r")
    tokenizer.save_pretrained(tmp_path / "xlm-r")

    recipe = get_recipe("paper", updates=3, batch_size=4, max_length=64)
    result = train(TrainConfig(base=str(tmp_path / "xlm-r"), data=[DATA], recipe=recipe, output=tmp_path / "trained"))
    assert (result.record.base.kind, result.record.base.name) == ("folder", "xlm-r")
    before = XLMRobertaModel.from_pretrained(tmp_path / "xlm-r").state_dict()
    after = XLMRobertaModel.from_pretrained(tmp_path / "trained").state_dict()
    assert before.keys() == after.keys()
    assert not torch.equal(before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"])
    assert result.model.encode_query(["ask 1 de"]).shape == (1, 16)
