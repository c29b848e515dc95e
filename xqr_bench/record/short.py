"""The short form of a record, in which it is submitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xqr_bench.core.types import LEAVING
from xqr_bench.measure.scored import score_variant
from xqr_bench.record.model import SHORT_VERSION, RanksInfo
from xqr_bench.record.rank_files import ranks_digest
from xqr_bench.record.relevance_files import relevance_digest, sample_size, sampled_questions
from xqr_bench.record.store import Result


def shortened(record: Result) -> Result:
    """The record as it is submitted: its file holds macro averages only, and its ranks are pooled.

    Of paragraph relevance, which has some fifty relevants a query, there are ranks of at most SAMPLE_ROWS sentences:
    where a task has more, of a sample of its questions, and the scores are of these questions too.
    """
    if record.short:
        return record
    ranks, task, variants, relevance = record.ranks.pooled(), record.task, {}, dict(record.relevance)
    for name, info in record.relevance.items():
        if info.ranks_file is None:
            continue
        variant, strict = record.ranks_under(name), ranks
        n = (
            None
            if name in LEAVING
            else sample_size(ranks.question_ids, np.diff(variant.offsets) - np.diff(ranks.offsets))
        )
        if n is not None:
            questions = sampled_questions(ranks.question_ids, n)
            variant, strict = variant.of_questions(questions), ranks.of_questions(questions)
            scores = score_variant(name, variant, task.metrics, task.settings, task.groups)
            info = info.model_copy(update={"scores": scores, "questions": n})
        variant = replace(variant.pooled(), own_parts=ranks.own_parts)
        file = RanksInfo.of(variant, relevance_digest(name, strict, variant))
        variants[name], relevance[name] = variant, info.model_copy(update={"ranks_file": file})
    ranks = replace(ranks, variants=variants)
    of_file = RanksInfo.of(ranks, ranks_digest(ranks))
    changed = {"schema_version": SHORT_VERSION, "ranks_file": of_file, "relevance": relevance, "top_file": None}
    return record.model_copy(update={**changed, "ranks": ranks, "place": None, "top": record.find_top()})
