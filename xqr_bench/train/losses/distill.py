"""Embedding distillation: Reimers & Gurevych 2020 (arXiv 2004.09813), EmbedDistill (Kim et al. 2023, 2301.12005)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from sentence_transformers.base.losses.merged_forward import embed_columns
from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss
from torch import nn

from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import name_of_folder
from xqr_bench.encode.load import refuse_what_is_no_model
from xqr_bench.encode.options import EncoderOptions
from xqr_bench.encode.sentence_transformer import load_model, resolve_model
from xqr_bench.encode.weights import cached_commit, loaded_from
from xqr_bench.train.losses import Role
from xqr_bench.train.losses.infonce import loss as info_nce

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe

Distance = Literal["cosine", "l2", "mse"]
Share = Annotated[float, Field(ge=0, le=1)]


class Distillation(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """(1 - weight) InfoNCE + weight D, where D is how far queries and passages are from their texts' teacher vectors.

    D is sentence-transformers' `EmbedDistillLoss`: the mean over both columns of the mean distance of a row. The
    teacher encodes each text once, without gradient, as queries and documents with its own prompts. With a pivot
    language it reads each question and passage in that language where the data has it there (Reimers & Gurevych 2020),
    else as it is. Its passes are no tokens of the training. Where its vectors have other dimensions, a linear map from
    the student's is trained beside the model.

    Args:
        model: the `SentenceTransformer` under training.
        recipe: of the training.
        context: whose rows the texts are.
        teacher: a folder or a hub name of a sentence-transformers model.
        distance: cosine (1 - cosine), l2 (Euclidean) or mse.
        weight: of D, 0 to 1; .5 is a choice of ours.
        pivot: code of the language that the teacher reads.
    """

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        context: LossContext,
        *,
        teacher: str,
        distance: Distance = "cosine",
        weight: Share = 0.5,
        pivot: str | None = None,
    ) -> None:
        super().__init__()
        self.context, self.weight = context, weight
        self._pivot = pivot
        read = load_model(teacher, EncoderOptions(device=str(model.device)), where=f"the teacher {teacher}")
        self._teacher = [read.eval()]  # in a list: no part of what is trained or saved
        width, own = read.get_embedding_dimension(), model.get_embedding_dimension()
        self.model = model
        self.info_nce = info_nce(model, recipe, context)
        self.distill = EmbedDistillLoss(model, distance, None if width == own else width)
        self._vectors: dict[tuple[Role, str], torch.Tensor] = {}

    def forward(self, sentence_features: Any, labels: Any) -> Any:
        """The loss of a batch, a scalar."""
        columns = embed_columns(self.model, sentence_features)
        rows = self.context.rows
        targets = [
            self._encoded("query", rows.queries, rows.queries_in),
            self._encoded("passage", rows.passages, rows.passages_in),
        ]
        own = self.info_nce.compute_loss_from_embeddings(columns, None)
        return (1 - self.weight) * own + self.weight * self.distill.compute_loss_from_embeddings(columns[:2], targets)

    def _encoded(self, role: Role, texts: Sequence[str], in_language: Any) -> torch.Tensor:
        """The teacher's vectors of a column, float32 `[rows, dimensions]`."""
        if self._pivot is not None:
            languages = self.context.rows.languages  # a validation may have others than the training
            at = languages.index(self._pivot) if self._pivot in languages else -1
            others = in_language(np.full(len(texts), at, dtype=np.int32)) if at >= 0 else texts
            texts = [other or own for other, own in zip(others, texts, strict=True)]
        missing = list(dict.fromkeys(text for text in texts if (role, text) not in self._vectors))
        if missing:
            teacher = self._teacher[0]
            encode = teacher.encode_query if role == "query" else teacher.encode_document
            with torch.autocast(teacher.device.type, enabled=False):
                made = encode(missing, convert_to_tensor=True, show_progress_bar=False).float().cpu()
            self._vectors.update(zip(((role, text) for text in missing), made, strict=True))
        return torch.stack([self._vectors[role, text] for text in texts])


def identity(teacher: str, **_: Any) -> dict[str, Any]:
    """Which weights the teacher has: SHA-256 over the files of a folder, or the commit of a hub model."""
    folder = Path(teacher).expanduser()
    if folder.is_dir():
        return {"teacher": name_of_folder(folder), "digest": loaded_from(folder)[0]}
    on_hub = resolve_model(teacher, None)
    return {"teacher": on_hub.name, "revision": cached_commit(on_hub.name, None) or on_hub.commit}


def check(recipe: Recipe, context: LossContext, *, teacher: str, pivot: str | None, **_: Any) -> None:
    """The teacher has to be there or have a name of the hub, the data to have its language, and vectors stay whole."""
    folder = Path(teacher).expanduser()
    if not folder.is_dir():
        refuse_what_is_no_model(teacher, folder)
    if pivot is not None and pivot not in context.languages:
        raise UsageError(f"no data in the pivot {pivot!r}", remedy=f"use one of: {', '.join(context.languages)}")
    if recipe.matryoshka:
        raise UsageError("a teacher's vectors are not cut to their first columns", remedy="leave --matryoshka out")


Distillation.check = staticmethod(check)  # type: ignore[attr-defined]
Distillation.identity = staticmethod(identity)  # type: ignore[attr-defined]
loss = Distillation
