"""`lakda`: InfoNCE, and a KL divergence between what two languages of a question rank (arXiv 2509.06195).

LaKDA (Language KL-Divergence Alignment) comes from "Language Bias in Information Retrieval: The Nature of the Beast and
Mitigation Methods" (2025). Its abstract and a review of it could be had, its formulas not. Known from there: a question
in two languages should rank the same documents alike, and a KL divergence between the two is added to the loss of a
dense retriever. Here it is, for each row, KL(p || q) over the passages of the batch, p of the row's own query, q of the
same question in another language drawn evenly, gradients through both, in (1 - a) InfoNCE + a KL with a = .5. Which of
the two stands first, that second queries take no part in InfoNCE, and the temperature, InfoNCE's, are choices of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from xqr_bench.train.losses._consistency import Consistency, check, further_queries, kullback_leibler

if TYPE_CHECKING:
    from xqr_bench.train.losses import LossContext
    from xqr_bench.train.recipe import Recipe


def loss(model: Any, recipe: Recipe, context: LossContext, *, a: Annotated[float, Field(gt=0, lt=1)] = 0.5) -> Any:
    """(1 - a) InfoNCE + a times the mean KL divergence, in nats, from each query's distribution to its translation's.

    Args:
        model, recipe, context: as of every loss.
        a: weight of the divergence, between 0 and 1.
    """
    return Consistency(model, recipe, context, kullback_leibler, weight=a, rest=1 - a)


loss.check, loss.further_queries = check, further_queries  # type: ignore[attr-defined]
