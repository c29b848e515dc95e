"""`static` initial models: the mean of learned subword vectors, over a vocabulary learned from the training text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import UsageError
from xqr_bench.train.types import Int32


def learn_vocabulary(texts: Sequence[str], size: int) -> Any:
    """Learn byte-level subwords (byte-pair encoding, Sennrich et al. 2016) from texts.

    Texts are normalised to NFKC and lower case. Every byte is in the vocabulary, so any text of any language can be
    written with it.

    Args:
        texts: in any order; the same texts give the same vocabulary.
        size: subwords, the 256 bytes among them; texts with fewer distinct ones give fewer.

    Returns:
        a `tokenizers.Tokenizer`.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[]
    )
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    return tokenizer


def static_model(tokenizer: Any, dimensions: int, seed: int) -> Any:
    """An untrained model: a vector for each subword from a normal distribution, a text is the mean of its subwords.

    Args:
        tokenizer: from `learn_vocabulary`.
        dimensions: columns of a vector.
        seed: of the vectors; the same seed gives the same bytes, whatever other models there are.

    Returns:
        a `SentenceTransformer` on the CPU, float32.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    rng = np.random.default_rng([seed, 0x57A71C])
    weights = rng.standard_normal((tokenizer.get_vocab_size(), dimensions), dtype=np.float32)
    weights /= np.sqrt(np.float32(dimensions))
    module = StaticEmbedding(tokenizer, embedding_weights=torch.from_numpy(weights))
    return SentenceTransformer(modules=[module], device="cpu")


def vocabulary_digest(tokenizer: Any) -> str:
    """SHA-256 over a tokenizer, whole."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


def is_static(model: Any) -> bool:
    """Whether the model is one StaticEmbedding and nothing else that reads tokens."""
    return type(model[0]).__name__ == "StaticEmbedding" and len(model) == 1


class Tokens:
    """The subwords of many texts, side by side: a batch of them is one look-up.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        texts: what to tokenise.
        prompt: put before each text.

    Raises:
        UsageError: a text has no subword at all (only possible with a vocabulary that was not made here).
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], prompt: str) -> None:
        encoded = tokenizer.encode_batch([prompt + text for text in texts], add_special_tokens=False)
        ids = [encoding.ids for encoding in encoded]
        self.lengths: NDArray[np.int64] = np.array([len(found) for found in ids], dtype=np.int64)
        if len(ids) and not self.lengths.all():
            raise UsageError(
                f"the vocabulary has no subword for a text: {texts[int(self.lengths.argmin())]!r}",
                remedy="take the text out, or use another initial model",
            )
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self.flat: NDArray[np.int64] = np.fromiter(
            (number for found in ids for number in found), dtype=np.int64, count=int(self.lengths.sum())
        )

    def batch(self, numbers: Int32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Subwords of these texts one after another, and where each text begins, as an embedding bag takes them."""
        lengths = self.lengths[numbers]
        ends = np.cumsum(lengths)
        offsets = ends - lengths
        places = np.arange(int(ends[-1])) + np.repeat(self.starts[numbers] - offsets, lengths)
        return self.flat[places], offsets
