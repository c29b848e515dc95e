"""What training starts from: a sentence-transformers or transformers model, or a static one made from the text."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from xqr_bench.encode.digests import digest_of_folder
from xqr_bench.encode.hub import cached_commit, resolve_model
from xqr_bench.encode.load import refuse_what_is_no_model
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.encode.sentence_transformer import is_sentence_transformer, load_model
from xqr_bench.record.training import BaseModelInfo, load_training
from xqr_bench.train.recipe import Recipe
from xqr_bench.train.static import static_model, vocabulary_digest

STATIC = "static"
ALIASES = {"xlm-r-base": "FacebookAI/xlm-roberta-base", "labse": "sentence-transformers/LaBSE"}
"""Short names of the initial models of Elmahdy et al. 2024."""


def check_base(base: object) -> None:
    """Refuse what cannot name an initial model, without loading anything.

    Raises:
        EncoderError: a folder that does not exist, or a name that can be none.
    """
    if isinstance(base, str | Path) and str(base) not in (STATIC, *ALIASES):
        folder = Path(base).expanduser()
        if not folder.is_dir():
            refuse_what_is_no_model(str(base), folder)


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
    if is_sentence_transformer(base):
        model: Any = base
        info = describe(model, BaseModelInfo(spec="object", kind="object", name=type(model).__name__, parameters=0))
    else:
        name = ALIASES.get(str(base), str(base))
        folder = Path(name).expanduser()
        if folder.is_dir():
            model = load_model(str(folder), options, where=f"the folder {folder}")
            made = BaseModelInfo(
                spec=str(base), kind="folder", name=folder.resolve().name, digest=digest_of_folder(folder), parameters=0
            )
            before = load_training(folder)
            made.training = None if before is None else before.model_dump(mode="json")
        else:
            found = resolve_model(name, options.revision)
            model = load_model(found.name, options, where=f"the hub model {found.name}", hub=found)
            commit = cached_commit(found.name, options.revision) or found.commit
            made = BaseModelInfo(spec=str(base), kind="hub", name=found.name, revision=commit, parameters=0)
        info = describe(model, made)
    model.float()  # weights are kept in full precision; mixed precision is the trainer's
    if recipe.max_length is not None:
        model.max_seq_length = recipe.max_length
    set_prompts(model, recipe)
    return model, info


def make_static(tokenizer: Any, recipe: Recipe, seed: int) -> tuple[Any, BaseModelInfo]:
    """A static model over a learned vocabulary, with the prompts of the recipe."""
    model = static_model(tokenizer, recipe.dimensions, seed)
    set_prompts(model, recipe)
    info = BaseModelInfo(
        spec=STATIC,
        kind=STATIC,
        name=STATIC,
        parameters=0,
        vocabulary_digest=vocabulary_digest(tokenizer),
    )
    return model, describe(model, info)


def set_prompts(model: Any, recipe: Recipe) -> None:
    """Save the prefixes in the model, where `encode_query` and `encode_document` find them."""
    model.prompts = {"query": recipe.query_prompt, "document": recipe.passage_prompt}
    model.default_prompt_name = None
    model.similarity_fn_name = "cosine"


def describe(model: Any, info: BaseModelInfo) -> BaseModelInfo:
    """Add the sizes of a model."""
    info.parameters = sum(parameter.numel() for parameter in model.parameters())
    info.dimensions = model.get_embedding_dimension()
    return info


def weights_digest(model: Any) -> str:
    """SHA-256 over names, shapes, types and bytes of a model's weights."""
    state = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        state.update(f"{name} {tuple(array.shape)} {array.dtype}\n".encode())
        state.update(array.view(-1).view(_uint8()).numpy().tobytes() if array.numel() else b"")
    return state.hexdigest()


def _uint8() -> Any:
    import torch

    return torch.uint8
