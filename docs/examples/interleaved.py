"""How much of an encoder's cross-lingual ability is left in one pool of all languages.

    python interleaved.py RECORD...

Each record's lists of single languages, those of the monolingual and cross-lingual settings, are merged in turn: the
first of every language, then the second of every language, and so on. No score of one language is compared with one
of another, so that a preference for a language has no effect. The pooled ranking has the same lists inside it, merged
by score. The share is pooled MAP over interleaved MAP, with the 95% interval of 2,000 resamples of the questions.
"""

import sys

import numpy as np

from xqr_bench import load_record
from xqr_bench.measure.scores import all_per_query

RESAMPLES, SEED = 2000, 0

for path in sys.argv[1:]:
    record = load_record(path, ranks=True)
    ranks = record.ranks
    scored = all_per_query(ranks, ["map"], ["multilingual"])["multilingual"]["map"]
    pooled = np.empty(ranks.n_queries)
    pooled[scored.queries] = scored.values
    own = ranks.counts.own_gt + (ranks.counts.own_eq + 1) / 2  # the mean rank over the order of ties
    place = len(ranks.columns) * (own - 1) + 1 + ranks.relevant_columns  # languages in the order of their codes
    interleaved = np.empty(ranks.n_queries)
    for query, (start, stop) in enumerate(zip(ranks.offsets[:-1], ranks.offsets[1:], strict=True)):
        found = np.sort(place[start:stop])
        interleaved[query] = np.mean(np.arange(1, len(found) + 1) / found)
    questions, question = np.unique(np.array(ranks.question_ids), return_inverse=True)
    if (np.bincount(question) != len(ranks.columns)).any() or ranks.n_relevants != ranks.n_queries * len(ranks.columns):
        sys.exit(f"{path}: not every question has an answer in every language, so turns would be wasted on some")
    both = np.stack([np.bincount(question, values) / len(ranks.columns) for values in (pooled, interleaved)], axis=1)
    drawn = np.random.default_rng(SEED).integers(len(questions), size=(RESAMPLES, len(questions)))
    means = np.array([both[rows].mean(axis=0) for rows in drawn])
    low, high = np.quantile(means[:, 0] / means[:, 1], [0.025, 0.975])
    (pool, turns), name = both.mean(axis=0), record.model.name
    print(f"{name}: pooled {pool:.4f}, interleaved {turns:.4f}, share {pool / turns:.3f} ({low:.3f} to {high:.3f})")
