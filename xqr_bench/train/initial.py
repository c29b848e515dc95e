"""What training starts from: a sentence-transformers or transformers model, or a static one made from the text."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import name_of_folder
from xqr_bench.encode.kinds import class_of
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.encode.sentence_transformer import load_model, resolve_model
from xqr_bench.encode.weights import cached_commit, loaded_from
from xqr_bench.record.provenance import BaseModelInfo, load_training
from xqr_bench.train.config import ALIASES
from xqr_bench.train.recipe import STATIC, Recipe
from xqr_bench.train.types import Int32

# `static` initial models: the mean of learned subword vectors, over a vocabulary learned from the training text.


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
        self.lengths: NDArray[np.int64] = np.array([len(one.ids) for one in encoded], dtype=np.int64)
        if len(encoded) and not self.lengths.all():
            raise UsageError(
                f"the vocabulary has no subword for a text: {texts[int(self.lengths.argmin())]!r}",
                remedy="take the text out, or use another initial model",
            )
        self.starts: NDArray[np.int64] = np.cumsum(self.lengths) - self.lengths
        self.flat: NDArray[np.int64] = np.fromiter(chain.from_iterable(one.ids for one in encoded), dtype=np.int64)

    def batch(self, numbers: Int32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Subwords of these texts one after another, and where each text begins, as an embedding bag takes them."""
        lengths = self.lengths[numbers]
        ends = np.cumsum(lengths)
        offsets = ends - lengths
        places = np.arange(int(ends[-1])) + np.repeat(self.starts[numbers] - offsets, lengths)
        return self.flat[places], offsets


# What training starts from: a sentence-transformers or transformers model, or a static one made from the text.


def load_base(base: object, options: EncoderOptions, recipe: Recipe) -> tuple[Any, BaseModelInfo]:
    """Load an initial model, not the static one.

    Args:
        base: a folder, a hub name, a short name of one, or a SentenceTransformer, which is then trained itself.
        options: device, revision, trust_remote_code, model_kwargs.
        recipe: its prompts and its length limit are set in the model.

    Returns:
        the model, float32, and what the training record says of it.

    Raises:
        EncoderError: there is no such model, or it cannot be loaded.
    """
    if class_of(base) == "SentenceTransformer":
        model: Any = base
        facts: dict[str, Any] = {"spec": "object", "kind": "object", "name": type(model).__name__}
    else:
        name = ALIASES.get(str(base), str(base))
        folder = Path(name).expanduser()
        if folder.is_dir():
            model = load_model(str(folder), options, where=f"the folder {folder}")
            before = load_training(folder)
            facts = {"kind": "folder", "name": name_of_folder(folder), "digest": loaded_from(folder)[0]}
            facts["training"] = None if before is None else before.model_dump(mode="json")
        else:
            on_hub = resolve_model(name, options.revision)
            model = load_model(on_hub.name, options, where=f"the hub model {on_hub.name}", hub=on_hub)
            commit = cached_commit(on_hub.name, options.revision) or on_hub.commit
            facts = {"kind": "hub", "name": on_hub.name, "revision": commit}
        facts["spec"] = str(base)
    info = describe(model, **facts)
    model.float()  # weights are kept in full precision; mixed precision is the trainer's
    if recipe.max_length is not None:
        model.max_seq_length = recipe.max_length
    set_prompts(model, recipe)
    return model, info


def make_static(tokenizer: Any, recipe: Recipe, seed: int) -> tuple[Any, BaseModelInfo]:
    """A static model over a learned vocabulary, with the prompts of the recipe."""
    model = static_model(tokenizer, recipe.dimensions, seed)
    set_prompts(model, recipe)
    digest = vocabulary_digest(tokenizer)
    return model, describe(model, spec=STATIC, kind=STATIC, name=STATIC, vocabulary_digest=digest)


def set_prompts(model: Any, recipe: Recipe) -> None:
    """Save the prefixes in the model, where `encode_query` and `encode_document` find them."""
    model.prompts = {"query": recipe.query_prompt, "document": recipe.passage_prompt}
    model.default_prompt_name = None
    model.similarity_fn_name = "cosine"


def describe(model: Any, **facts: Any) -> BaseModelInfo:
    """What a record says of an initial model: these facts and its sizes."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return BaseModelInfo(**facts, parameters=parameters, dimensions=model.get_embedding_dimension())


def copy_model(model: Any) -> Any:
    """A copy with weights of its own; tokenizers are only read and take longer to copy: they are shared."""
    tokenizers = [module.tokenizer for module in model.modules() if hasattr(module, "tokenizer")]
    return copy.deepcopy(model, {id(one): one for one in tokenizers})


def weights_digest(model: Any) -> str:
    """SHA-256 over names, shapes, types and bytes of a model's weights."""
    import torch

    state = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        state.update(f"{name} {tuple(array.shape)} {array.dtype}\n".encode())
        state.update(array.view(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    return state.hexdigest()
