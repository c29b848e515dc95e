"""Small made-up training data for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.train.batches import make_plan
from xqr_bench.train.data import Entry, Item, build
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.types import BatchPlan, ParallelData

CODES = ("de", "en", "es", "th", "zh")


def parallel(
    n: int,
    languages: Sequence[str] = CODES[:3],
    *,
    has: Mapping[int, Sequence[str]] | None = None,
    passage_of: Mapping[int, int] | None = None,
    paragraph_of: Mapping[int, int] | None = None,
    name: str = "made-up",
    kind: str = "retrieval",
) -> ParallelData:
    """`n` questions in all the languages, or those `has` names; `passage_of` makes two share a passage."""
    items = []
    for i in range(n):
        place = (passage_of or {}).get(i, i)
        paragraph = (paragraph_of or {}).get(place, place)
        items.append(
            Item(
                f"q{i}",
                {
                    code: Entry(
                        f"question {i} {code}",
                        f"passage {place} {code}",
                        str(place),
                        str(paragraph // 3),
                        str(paragraph),
                    )
                    for code in (has or {}).get(i, languages)
                },
            )
        )
    return build(items, tuple(languages), name=name, kind=kind)


def partly_parallel(n: int, languages: Sequence[str] = CODES, seed: int = 0, least: int = 2) -> ParallelData:
    """`n` questions, each in `least` or more of the languages."""
    rng = np.random.default_rng(seed)
    has = {
        i: [str(code) for code in rng.permutation(languages)[: rng.integers(least, len(languages) + 1)]]
        for i in range(n)
    }
    return parallel(n, languages, has=has)


def planned(data: ParallelData | Sequence[ParallelData], **asked: Any) -> BatchPlan:
    """A plan of what is asked for."""
    return make_plan(data, PlanRequest(**asked))


def tiny_xlm_r(folder: Path, texts: list[str], layers: int = 1) -> Path:
    """Save an XLM-R of a few layers with a vocabulary of these texts, which only transformers knows."""
    import torch
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    from xqr_bench.train.initial import learn_vocabulary

    vocabulary = learn_vocabulary(texts, 300)
    vocabulary.add_special_tokens(["<pad>", "<unk>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token="<pad>", unk_token="<unk>")
    pad = tokenizer.pad_token_id
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=pad + 66,  # positions are counted from the padding token on
        pad_token_id=pad,
    )
    XLMRobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_pairs(folder: Path, n: int = 12) -> Path:
    """A file of training data: `n` questions in German and English."""
    lines = [
        {"id": f"q{i}", "languages": {c: {"query": f"ask {i} {c}", "passage": f"say {i} {c}"} for c in ("de", "en")}}
        for i in range(n)
    ]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
