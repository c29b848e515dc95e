"""InfoNCE (van den Oord et al. 2018, arXiv 1807.03748) with in-batch negatives on cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe


def loss(model: Any, recipe: Recipe, context: LossContext) -> Any:
    """InfoNCE with in-batch negatives on cosines, from the query to all passages of the batch.

    For queries q_i, passages p_j (hard negatives among them), temperature t:
    the mean over i of -log(exp(cos(q_i, p_i) / t) / sum_j exp(cos(q_i, p_j) / t)).

    Args:
        model: the `SentenceTransformer` under training.
        recipe: its `temperature` is t; `mini_batch`: rows in memory at once, with gradients as of the whole batch
            (Gao et al. 2021, arXiv 2101.06983); 0: all; `parts`: encoded one after another, sorted by length.
        context: with `gather` the passages of all processes are negatives, so that several give the loss of one.
    """
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )

    common = {"scale": 1.0 / recipe.temperature, "gather_across_devices": context.gather}
    if recipe.mini_batch:
        return CachedMultipleNegativesRankingLoss(model, mini_batch_size=recipe.mini_batch, **common)
    if recipe.parts is not None:
        from xqr_bench.train.transformer import InfoNceInParts

        return InfoNceInParts(model, recipe.parts, **common)
    return MultipleNegativesRankingLoss(model, **common)


loss.gradient_caching = True  # type: ignore[attr-defined]
