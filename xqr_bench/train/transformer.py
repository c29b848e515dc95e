"""What holds for a transformer while it is trained, and not after: what is frozen, dropout, the length of its texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from xqr_bench.core.errors import UsageError
from xqr_bench.train.recipe import Recipe


class WhileTraining:
    """Settings of a model that the recipe asks for during the updates; what is scored or saved has its own again.

    - `frozen_layers`: the embeddings and so many lower layers get no gradient.
    - `dropout`: in place of the model's own.
    - `train_length`: tokens after which a text is cut off.
    - On a CPU attention is computed by plain matrix products: of an update of short texts in bfloat16 the backward pass
      of torch's fused kernel takes half there (torch 2.13).

    Args:
        model: a SentenceTransformer.
        recipe: of the training.
        on_cpu: whether it is trained on the CPU.

    Raises:
        UsageError: the model has no such layers, or no transformer.
    """

    def __init__(self, model: Any, recipe: Recipe, *, on_cpu: bool) -> None:
        self._model = model
        self._transformer: Any = getattr(model[0], "auto_model", None)
        self._values: list[tuple[Any, str, Any, Any]] = []
        if recipe.frozen_layers is not None:
            for parameter in self._below(recipe.frozen_layers):
                self._set(parameter, "requires_grad", False)
        if recipe.dropout is not None:
            self._set_dropout(recipe.dropout)
        if recipe.train_length is not None:
            self._set(model, "max_seq_length", recipe.train_length)
        config = getattr(self._transformer, "config", None)
        self._attention = getattr(config, "_attn_implementation", None) if on_cpu else None
        self._begin()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The model as it is scored or saved: with its own settings, and without the trainer's mixed precision."""
        wrapped = vars(self._model).pop("forward", None)  # accelerate's, for as long as it trains
        self.end()
        try:
            yield
        finally:
            if wrapped is not None:
                self._model.forward = wrapped
            self._begin()

    def end(self) -> None:
        """Give the model its own settings again."""
        for thing, name, own, _ in self._values:
            setattr(thing, name, own)
        if self._attention == "sdpa":
            self._transformer.set_attn_implementation("sdpa")

    def _begin(self) -> None:
        for thing, name, _, value in self._values:
            setattr(thing, name, value)
        if self._attention == "sdpa":
            self._transformer.set_attn_implementation("eager")

    def _set(self, thing: Any, name: str, value: Any) -> None:
        self._values.append((thing, name, getattr(thing, name), value))

    def _set_dropout(self, share: float) -> None:
        for path, module in self._model.named_modules():
            if "lora_dropout" in path:  # of the adapters, which say their own
                continue
            if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                self._set(module, "p", share)
            for name, value in vars(module).items():
                if "dropout" in name and isinstance(value, float):
                    self._set(module, name, share)

    def _below(self, layers: int) -> list[Any]:
        """The parameters that come before a layer, as the model names them from its input on."""
        number = getattr(getattr(self._transformer, "config", None), "num_hidden_layers", None)
        lists = [] if self._transformer is None else list(self._transformer.modules())
        stack = next((one for one in lists if isinstance(one, torch.nn.ModuleList) and len(one) == number), None)
        if stack is None or layers >= len(stack):
            raise UsageError(
                f"--frozen-layers {layers} cannot be done with this model",
                found="no layers of a transformer" if stack is None else f"{len(stack)} layers",
                remedy="leave it out" if stack is None else f"use a number from 0 to {len(stack) - 1}",
            )
        trained = {id(parameter) for layer in stack[layers:] for parameter in layer.parameters()}
        below = []
        for parameter in self._transformer.parameters():
            if id(parameter) in trained:
                break
            below.append(parameter)
        return below


class InfoNceInParts(MultipleNegativesRankingLoss):  # type: ignore[misc]  # the library is not typed here
    """The library's loss, each column encoded in parts of texts of like length: less padding, the same numbers.

    Args:
        model: the `SentenceTransformer` under training.
        parts: of each column.
        options: of the library's loss.
    """

    def __init__(self, model: Any, parts: int, **options: Any) -> None:
        super().__init__(model, **options)
        self.parts = parts

    def forward(self, sentence_features: Any, labels: Any) -> Any:
        """The loss of a batch."""
        embeddings = [embed_in_parts(self.model, features, self.parts) for features in sentence_features]
        return self.compute_loss_from_embeddings(embeddings, labels)


def embed_in_parts(model: Any, features: dict[str, Any], parts: int) -> Any:
    """The vectors of a column of texts, `[rows, d]`: the longest are encoded together, then the next.

    Args:
        model: called with a part's inputs.
        features: inputs of the column; columns of padding at their right end are left out of a part.
        parts: how many.
    """
    mask = features["attention_mask"]
    order = torch.argsort(mask.sum(dim=1), descending=True, stable=True)
    made = []
    for rows in order.tensor_split(min(parts, len(order))):
        width = int(mask[rows].any(dim=0).nonzero().max()) + 1
        part = {
            name: value
            if not isinstance(value, torch.Tensor) or value.shape[:1] != mask.shape[:1]
            else value[rows, :width]
            if value.shape[:2] == mask.shape
            else value[rows]
            for name, value in features.items()
        }
        made.append(model(part)["sentence_embedding"])
    return torch.cat(made)[torch.argsort(order)]
