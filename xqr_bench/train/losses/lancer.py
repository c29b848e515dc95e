"""`lancer`: InfoNCE, and a penalty on features that tell the language.

LANCER: Huang, Yu, Ravfogel, Allan: "Language Concept Erasure for Language-invariant Dense Retrieval", EMNLP 2024. The
penalty is that of the authors' code (github.com/zhiqihuang/lancer, 50489fb), weight 1. There it is taken of other texts
than the retrieval loss, from mC4 in 16 languages; here of the queries and passages of the batch itself, so that it
costs no further token. There a language that a batch lacks counts as a correlation of 0; here it is left out.

Its authors kept, of all checkpoints, the one of the highest nDCG@10 on XQuAD-R (the same code): published figures of
LANCER on that task were selected on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import nn
from torch.nn.functional import normalize

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import IntArray
from xqr_bench.train.losses.infonce import loss as info_nce

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe

CONSTANT = 1e-5
"""A feature whose standard deviation is below this share of its root mean square does not vary, but for rounding."""


def correlation_penalty(vectors: Any, languages: Sequence[str] | IntArray) -> Any | None:
    """Mean absolute Pearson correlation between each feature and the indicator of each language.

    Vectors are scaled to length 1 first. With feature f and language l, over the n texts of a batch:
    the mean over f and l of |sum_i (f_i - mean f)(l_i - mean l)| / sqrt(sum_i (f_i - mean f)^2 sum_i (l_i - mean l)^2),
    where l_i is 1 if text i is in language l, else 0.

    Only languages of the batch are counted, and features that vary in it: a correlation with a constant is undefined,
    and a zero for it would make the mean depend on how many languages the other batches have.

    Args:
        vectors: of the texts, float `[texts, dimensions]`.
        languages: of each text, a code or a number.

    Returns:
        0 to 1; None where no correlation is defined: all texts in one language, or no feature that varies.
    """
    codes = np.unique(np.asarray(languages), return_inverse=True)[1]
    if len(codes) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors, {len(codes)} languages")
    if not len(codes) or not codes.any():
        return None
    with torch.autocast(vectors.device.type, enabled=False):
        features = normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=-1)
        centred = features - features.mean(dim=0)
        varies = centred.detach().norm(dim=0) > CONSTANT * features.detach().norm(dim=0)
        if not varies.any():
            return None
        labels = torch.eye(int(codes.max()) + 1, dtype=features.dtype, device=features.device)[codes]
        labels = normalize(labels - labels.mean(dim=0), dim=0)
        return (normalize(centred[:, varies], dim=0, eps=0.0).T @ labels).abs().mean()


class Lancer(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """See `loss`."""

    def __init__(self, model: Any, recipe: Recipe, context: LossContext, weight: float) -> None:
        super().__init__()
        self.model, self.info_nce = model, info_nce(model, recipe, context)
        self._context, self._weight = context, weight

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Any) -> Any:
        """InfoNCE plus the weighted penalty; in a batch where the penalty is undefined InfoNCE alone."""
        embeddings = embed_columns(self.model, sentence_features)
        loss = self.info_nce.compute_loss_from_embeddings(embeddings, labels)
        rows = self._context.whole_batch if self._context.gather else self._context.rows
        columns = [rows.query_language] + [rows.passage_language] * (len(embeddings) - 1)
        vectors = torch.cat([self._context.gathered(one) for one in embeddings])
        penalty = correlation_penalty(vectors, np.concatenate(columns))
        return loss if penalty is None else loss + self._weight * penalty


def loss(model: Any, recipe: Recipe, context: LossContext, *, weight: Annotated[float, Field(gt=0)] = 1.0) -> Any:
    """InfoNCE + weight times `correlation_penalty` of all queries and passages of the batch.

    In a monolingual batch the penalty is undefined, and the loss is InfoNCE.

    Args:
        model, recipe, context: as of every loss.
        weight: of the penalty, above 0.
    """
    return Lancer(model, recipe, context, weight)


def check(recipe: Recipe, context: LossContext, **_: Any) -> None:
    """Two languages are needed, in the data and in some batch."""
    if len(context.languages) < 2:
        raise UsageError(
            f"the loss lancer needs two languages, and the data has one: {', '.join(context.languages)}",
            remedy="add a language, or use --loss infonce",
        )
    if set(context.batch_types) == {"monolingual"}:
        raise UsageError(
            "the loss lancer compares the languages of a batch, and each batch of this plan has one",
            remedy="use a --ratio below 1, --plan x-x, or --loss infonce",
        )


loss.check = check  # type: ignore[attr-defined]
