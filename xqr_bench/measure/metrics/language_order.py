"""Kendall's W of the order in which languages appear: a preference that holds across questions."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import SetStatistic, register_set_statistic
from xqr_bench.measure.metrics.language_position import place_among_relevants
from xqr_bench.measure.metrics.lists import RankedLists

KENDALL = "Kendall & Babington Smith 1939; tie correction: Siegel & Castellan 1988, section 9.7"


def why_undefined(lists: RankedLists) -> str | None:
    """W ranks the same languages for every question, one relevant in each: the reason if they differ."""
    n = lists.n_relevants
    columns = lists.columns[lists.by_column]
    if not len(n) or n[0] < 2 or (n != n[0]).any() or (columns.reshape(-1, n[0]) != columns[: n[0]]).any():
        return "the questions do not all have the same languages"
    if (np.diff(columns[: n[0]]) == 0).any():
        return "a question has several relevants in one language"
    return None


def order_matrix(lists: RankedLists) -> FloatArray:
    """Mid-rank of each language's relevant among the relevants, float64 `[lists, languages]` by column."""
    return place_among_relevants(lists)[lists.by_column].reshape(len(lists), -1)


def features_of_others(lists: RankedLists) -> FloatArray:
    """Features of W without the query's own language, whose column is 0."""
    places = order_matrix(lists)
    own = lists.in_own_language[lists.by_column].reshape(len(lists), -1)
    own_place = np.where(own, places, 0.0).sum(axis=1, keepdims=True)
    above = (places > own_place) + 0.5 * (places == own_place)
    return _features(np.where(own, 0.0, places - above * own.any(axis=1, keepdims=True)))


def _features(places: FloatArray) -> FloatArray:
    """Places, tie term Σ(t³ - t) and number of languages of each question, float64 `[lists, languages + 2]`."""
    ranked = places > 0
    in_order = np.sort(places, axis=1)
    with_ties = np.flatnonzero(((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] > 0)).any(axis=1))
    few, among = places[with_ties], ranked[with_ties]
    # each member of a group of t contributes t² - 1
    same = (few[:, :, None] == few[:, None, :]) & among[:, :, None]
    ties = np.zeros(len(places))
    ties[with_ties] = np.where(among, same.sum(axis=2) ** 2 - 1.0, 0.0).sum(axis=1)
    return np.column_stack([places, ties, ranked.sum(axis=1)])


def features(lists: RankedLists) -> FloatArray:
    """Features of W over all languages."""
    if "language_order" not in lists.memo:
        lists.memo["language_order"] = _features(order_matrix(lists))
    return lists.memo["language_order"]


def kendall_w(sums: FloatArray, n: FloatArray) -> FloatArray:
    """W = (12 Σ R_j² - 3 n² m (m+1)²) / (n² m (m² - 1) - n Σ T_i) from summed features; NaN if all are tied.

    Args:
        sums: `[..., languages + 2]`, features summed over the n questions.
        n: number of questions, `[...]`.
    """
    rank_sums, ties, languages = sums[..., :-2], sums[..., -2], sums[..., -1]
    n = np.asarray(n, dtype=np.float64)
    m = languages / n
    top = 12.0 * (rank_sums**2).sum(axis=-1) - 3.0 * n**2 * m * (m + 1.0) ** 2
    bottom = n**2 * m * (m**2 - 1.0) - n * ties
    usable = bottom > 1e-9 * n**2
    return np.where(usable, top / np.where(usable, bottom, 1.0), np.nan)


def corrected_w(sums: FloatArray, n: FloatArray) -> FloatArray:
    """(n W - 1) / (n - 1): 0 on average without preference, 1 when every question agrees."""
    n = np.asarray(n, dtype=np.float64)
    return np.where(n > 1, (n * kendall_w(sums, n) - 1.0) / np.maximum(n - 1.0, 1.0), np.nan)


_NEEDS = "questions differ in their languages, or every question ties them all"
register_set_statistic(
    "language_order_w",
    SetStatistic(features, kendall_w, why_undefined, of_orders=True),
    summary="Kendall's W of the order of the relevants' languages over questions, per query language",
    formula="W = (12 Σ R_j² - 3 n² m (m+1)²) / (n² m (m² - 1) - n Σ T), n questions, m languages",
    source=KENDALL,
    undefined_when=_NEEDS,
)
register_set_statistic(
    "language_order_w_corrected",
    SetStatistic(features, corrected_w, why_undefined, of_orders=True),
    summary="W without its chance level: 0 fair, 1 the same order for every question",
    formula="(n W - 1) / (n - 1)",
    bounds=(-1.0, 1.0),
    source=KENDALL,
    undefined_when=_NEEDS,
)
register_set_statistic(
    "language_order_w_others",
    SetStatistic(features_of_others, corrected_w, why_undefined, of_orders=True),
    summary="corrected W of the languages other than the query's own",
    formula="(n W - 1) / (n - 1), the query's own language left out",
    bounds=(-1.0, 1.0),
    source=KENDALL,
    undefined_when=_NEEDS,
)
