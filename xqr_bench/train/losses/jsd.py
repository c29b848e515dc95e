"""`jsd`: InfoNCE, and a Jensen-Shannon divergence between what two languages of a question rank (arXiv 2604.05684).

Hong, Jang, Lee, Moon, Lim 2026: "Improving Semantic Proximity in Information Retrieval through Cross-Lingual Alignment"
trains with a Jensen-Shannon divergence for alignment and InfoNCE for relevance. Its abstract and summaries of it could
be had, its formulas not: what it takes the divergence of, and its weights, are not known here. Here it is taken, for
each row, of two distributions over the passages of the batch: of the row's own query, and of the same question in
another language drawn evenly, with gradients through both; InfoNCE + weight times its mean, weight 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from xqr_bench.train.losses._consistency import Consistency, check, further_queries, jensen_shannon

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe


def loss(model: Any, recipe: Recipe, context: LossContext, *, weight: Annotated[float, Field(gt=0)] = 1.0) -> Any:
    """InfoNCE + weight times the mean Jensen-Shannon divergence, in nats, of each query and its translation.

    Args:
        model, recipe, context: as of every loss.
        weight: of the divergence, above 0.
    """
    return Consistency(model, recipe, context, jensen_shannon, weight=weight, rest=1.0)


loss.check, loss.further_queries = check, further_queries  # type: ignore[attr-defined]
