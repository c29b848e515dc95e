"""What a record says of its task, its vectors and the languages they represent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xqr_bench.core.collection import chosen_of, first_of_each, rows_in, texts_of
from xqr_bench.core.errors import RecordError
from xqr_bench.core.languages import GROUPS
from xqr_bench.core.mapped import in_parts, taken
from xqr_bench.core.types import CROSS_LINGUAL, JUDGED, Candidate, FloatArray, IntArray, Query, Ranks, TaskData
from xqr_bench.encode import BoundEncoder, Embeddings, in_context
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scored import score_variant
from xqr_bench.measure.scores import Group, SettingScores, absent_line
from xqr_bench.rank.product import find_repeats
from xqr_bench.rank.rules import too_shallow, variant_metrics
from xqr_bench.record.model import (
    LanguageCounts,
    LanguageDiagnostics,
    RanksInfo,
    Record,
    RelevanceInfo,
    TaskInfo,
    TextDiagnostics,
)
from xqr_bench.record.relevance_files import relevance_digest
from xqr_bench.tasks import TaskSpec
from xqr_bench.tasks.segment import segmenter_version

# Which languages an encoder can represent at all: whether their texts get vectors of their own.

LEAST_DISTINCT = 0.95
"""A language with a smaller share of distinct query vectors is flagged."""
SAME = 1e-3
"""Vectors whose distance is at most this share of their length are one: float16 or another batch moves them so far."""
_PROJECTED = 8
_AT_ONCE = 2048

Vectors = NDArray[np.float32]


def text_diagnostics(
    texts: Sequence[str], given: Sequence[str], groups: Callable[[IntArray], IntArray], encoder: BoundEncoder
) -> TextDiagnostics:
    """Distinct texts, vectors and tokens of one language and role.

    Args:
        texts: of queries or candidates.
        given: the texts as the encoder was given them.
        groups: rows of distinct texts, int64 -> how many of them each distinct vector has, int64.
        encoder: what made the vectors.
    """
    first, _ = first_of_each(given)
    sizes = groups(first)
    own = first if texts is given else first_of_each(texts)[0]
    characters, counted = 0, []
    for _, rows in in_parts(own, _AT_ONCE):
        sentences = [texts[row] for row in rows.tolist()]
        characters += sum(map(len, sentences))
        counted.append(encoder.tokens(sentences))
    tokens, unknown = (
        None if None in counted else sum(int(both[part].sum()) for both in counted if both is not None)
        for part in (0, 1)
    )
    return TextDiagnostics(
        texts=len(first),
        vectors=len(sizes),
        sharing=int(sizes[sizes > 1].sum()),
        characters=characters,
        tokens=tokens,
        unknown_tokens=unknown,
    )


def vector_groups(vectors: Vectors, *, unit: bool, rows: IntArray | None = None) -> IntArray:
    """How many rows each distinct vector has, int64 `[distinct]`.

    Two rows are one vector when their distance is at most SAME times their length (cosine: after scaling to length 1;
    else: times the root mean square length of all rows), and so are rows connected by such pairs.

    Args:
        vectors: float32 `[n, d]`; some thousands of rows are copied at a time.
        unit: scale rows to length 1 first; zero rows stay zero.
        rows: those to look at, int64 `[rows]`; default: all.
    """
    chosen: IntArray = np.arange(len(vectors)) if rows is None else rows
    if not len(chosen):
        return np.zeros(0, dtype=np.int64)

    repeats = find_repeats(len(chosen), lambda start, stop: taken(vectors, chosen[start:stop]))
    sizes = np.ones(len(chosen), dtype=np.int64)
    sizes[repeats.positions] = 0
    sizes[repeats.first] = np.bincount(repeats.groups)
    distinct, sizes = chosen[sizes > 0], sizes[sizes > 0]

    parts = (taken(vectors, some).astype(np.float64) for _, some in in_parts(distinct))
    lengths = np.concatenate([np.linalg.norm(part, axis=1) for part in parts])
    if unit:
        lengths[lengths == 0.0] = 1.0
    else:
        mean = np.sqrt(np.average(np.square(lengths), weights=sizes))
        lengths = np.full(len(distinct), mean or 1.0)

    def scaled(places: IntArray) -> FloatArray:
        return np.asarray(taken(vectors, distinct[places]) / lengths[places, None])

    return np.bincount(_connected(len(distinct), vectors.shape[1], scaled), weights=sizes).astype(np.int64)


def _connected(n: int, d: int, rows: Callable[[IntArray], FloatArray]) -> IntArray:
    """The group of each row: rows at most SAME apart are in one.

    Args:
        n, d: rows, and their columns.
        rows: places -> the rows there, float64 `[places, d]`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    # an orthogonal projection brings rows nearer, never further apart: near pairs are among the near ones in it
    with threadpool_limits(1, user_api="blas"):  # products as small as these make threads wait for one another
        axes = np.linalg.qr(np.random.Generator(np.random.PCG64(0)).standard_normal((d, min(d, _PROJECTED))))[0]
        projected = np.concatenate([rows(some) @ axes for _, some in in_parts(np.arange(n))])
    pairs = cKDTree(projected).query_pairs(SAME * (1 + 1e-9), output_type="ndarray")
    distances = [np.linalg.norm(rows(some[:, 0]) - rows(some[:, 1]), axis=1) for _, some in in_parts(pairs)]
    left, right = pairs[np.concatenate(distances) <= SAME].T if distances else ((), ())
    graph = coo_array((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(n, n))
    groups: IntArray = connected_components(graph, directed=False)[1]
    return groups


def distinct_query_share(diagnostics: LanguageDiagnostics) -> float | None:
    """Distinct vectors over distinct texts of a language's queries; None where that is not known."""
    return None if diagnostics.queries is None else diagnostics.queries.distinct_share


def _low_shares(diagnostics: dict[str, LanguageDiagnostics]) -> dict[str, float]:
    """The distinct query shares below LEAST_DISTINCT, by language."""
    shares = {code: distinct_query_share(of_language) for code, of_language in diagnostics.items()}
    return {code: share for code, share in shares.items() if share is not None and share < LEAST_DISTINCT}


def unrepresented_languages(record: Record) -> tuple[str, ...]:
    """The languages that are flagged: less than 95% distinct query vectors. Empty where nothing is known."""
    flagged = _low_shares(record.diagnostics)
    return tuple(code for code in record.task.all_languages if code in flagged)


def represented_languages(record: Record) -> tuple[str, ...]:
    """The languages of the record whose queries have distinct vectors, at least 95% of them.

    A language without queries is among them: nothing speaks against it.

    Raises:
        RecordError: the record does not tell, as older ones and those of runs and baselines do not.
    """
    if not any(diagnostics.queries is not None for diagnostics in record.diagnostics.values()):
        raise RecordError(
            f"the record of {record.model.name} on {record.task.name} does not tell how many vectors are distinct",
            found="an older record, or one without vectors",
            remedy="evaluate the encoder again",
        )
    flagged = _low_shares(record.diagnostics)
    return tuple(code for code in record.task.all_languages if code not in flagged)


def representation_warnings(diagnostics: dict[str, LanguageDiagnostics]) -> list[str]:
    """A warning that names the flagged languages, if there are any."""
    flagged = [
        f"{code} {queries.vectors:,} vectors for {queries.texts:,} texts ({share:.0%})"
        for code, share in _low_shares(diagnostics).items()
        if (queries := diagnostics[code].queries) is not None
    ]
    if not flagged:
        return []
    return [
        f"the encoder does not tell the queries of some languages apart: {', '.join(flagged)}; their scores say little "
        "about its quality"
    ]


# Task data and embeddings -> the parts of a record that describe them.


def groups_of(spec: TaskSpec, languages: Sequence[str] | None = None) -> dict[str, Group]:
    """The language groups of a task, among some of its languages (default: all), as records hold them."""
    return {
        name: Group(languages=group.members, missing=group.absent, undefined_reason=group.reason)
        for name, group in spec.group_members(languages).items()
    }


def task_info(spec: TaskSpec, data: TaskData) -> TaskInfo:
    """The task as it is scored."""
    queries = Counter(query.language for query in data.queries)
    sizes = dict(zip(data.languages, data.column_sizes.tolist(), strict=True))
    return TaskInfo(
        name=spec.name,
        title=spec.title,
        languages=list(data.languages),
        query_languages=list(data.query_languages) if data.query_languages != data.languages else None,
        settings=list(spec.settings),
        metrics=list(spec.metrics),
        groups=groups_of(spec, data.all_languages),
        counts={
            code: LanguageCounts(queries=queries[code], candidates=sizes.get(code, 0)) for code in data.all_languages
        },
        n_questions=len({query.question for query in data.queries}),
        n_articles=len(set(data.clusters)),
        demonstration=spec.demonstration,
        partial=dict(data.partial),
        files=dict(data.files),
        revision=spec.revision or None,
        relevant_from=data.relevant_from or None,
        segmenter=segmenter_version(spec.segmenter) if spec.segmenter else None,
    )


def seen_groups(record: Record) -> dict[str, list[str]]:
    """Groups of languages unseen in a training, and those of them that the record says its model was trained on."""
    seen: dict[str, list[str]] = {}
    of_model = (record.exposure.languages if record.exposure is not None else None) or {}
    for name, group in record.task.groups.items():
        trained = [code for code in group.languages if of_model.get(code) in ("trained", "aligned only")]
        if trained and name in GROUPS and GROUPS[name].unseen_by:
            seen[name] = trained
    return seen


def _pairs(record: Record, scores: SettingScores) -> list[str]:
    """The query's language of each language pair that has a figure, or, of more than 32 languages, would have one."""
    if scores.by_language_pair:
        return [pair.partition(">")[0] for pair in scores.by_language_pair]
    places = []
    for code, figures in scores.by_query_language.items():
        n_absent = next((figure.n_absent or 0 for figure in figures.values()), 0)
        places += [code] * (len(record.task.languages) - (code in record.task.languages) - n_absent)
    return places


def coverage(record: Record) -> list[str]:
    """Of how many of how many values the means of a record are, where that is not all of them."""
    lines: dict[str, None] = {}
    queries = {code: counts.queries for code, counts in record.task.counts.items()}
    for setting, scores in record.scores.items():
        places = _pairs(record, scores) if setting == CROSS_LINGUAL else list(queries)
        asked = sum(queries.get(code, 0) for code in places)
        of_what = "pairs of a query and another language" if setting == CROSS_LINGUAL else "queries"
        undefined: defaultdict[str, list[str]] = defaultdict(list)
        for name, figure in scores.macro.items():
            values, metric = figure.n + figure.n_undefined, parse_metric(name)
            if figure.value is None:
                continue
            n_absent = figure.n_absent or len(figure.absent or ())
            if n_absent and not metric.of_cells:
                averaged = len(places)
                if setting != CROSS_LINGUAL:  # of a submission the record may not say which languages have a figure
                    with_figure = [code for code, of in scores.by_query_language.items() if name in of]
                    averaged = len(with_figure) or averaged - n_absent
                lines[absent_line(f"{setting} means", figure.absent or (), n_absent, averaged)] = None
            if values < asked and not metric.of_cells:
                lines[f"{setting} means are over the {values:,} of {asked:,} {of_what} that have an answer"] = None
            if figure.n_undefined:
                why = metric.undefined_when or "it has no value"
                undefined[f"{figure.n:,} of {values:,} values; undefined where {why}"].append(name)
        lines |= dict.fromkeys(f"{setting} {', '.join(names)}: over {text}" for text, names in undefined.items())
    return list(lines)


def language_diagnostics(
    data: TaskData, vectors: Embeddings, encoder: BoundEncoder, only: Sequence[str] | None = None
) -> dict[str, LanguageDiagnostics]:
    """What happened to the texts of each language.

    Args:
        data: the task.
        vectors: as the encoder made them.
        encoder: what made them.
        only: these languages; default: all of the task.
    """
    as_given = in_context(data, encoder.identity.candidate_context).candidates
    roles: dict[str, tuple[Sequence[Query | Candidate], Sequence[Query | Candidate], Vectors]] = {
        "queries": (data.queries, data.queries, vectors.queries),
        "candidates": (data.candidates, as_given, vectors.candidates),
    }
    by_language = {}
    for code in data.all_languages if only is None else only:
        cut = (vectors.truncated or {}).get(code)
        fields: dict[str, Any] = {}
        for role, (items, given, rows) in roles.items():
            here = rows_in(items, code)
            if not len(here):  # a language of queries alone, or of candidates alone
                continue
            texts = texts_of(chosen_of(items, here))
            given_texts = texts if given is items else texts_of(chosen_of(given, here))

            def groups(some: IntArray, of: Vectors = rows, here: IntArray = here) -> IntArray:
                return vector_groups(of, unit=encoder.similarity == "cosine", rows=here[some])

            fields[role] = text_diagnostics(texts, given_texts, groups, encoder)
            fields[f"truncated_{role}"] = None if cut is None else cut[role]
            fields[f"zero_{role}"] = getattr(vectors, f"zero_{role}").get(code, 0)
        by_language[code] = LanguageDiagnostics(**fields)
    return by_language


def truncation_warnings(diagnostics: Mapping[str, LanguageDiagnostics]) -> list[str]:
    """A warning that names the languages whose texts were cut off, if any were."""
    cut = {code: (of.truncated_queries or 0) + (of.truncated_candidates or 0) for code, of in diagnostics.items()}
    listing = ", ".join(f"{code} {number}" for code, number in cut.items() if number)
    return [f"texts longer than the encoder's length limit were cut off: {listing}"] if listing else []


NOT_COUNTED = "the ranks were not counted under it"
NONE_IRRELEVANT = "no candidate of the task is judged irrelevant"


def relevance_info(name: str, ranks: Ranks, info: TaskInfo, data: TaskData) -> RelevanceInfo:
    """The scores under a rule of relevance that the task declares, from the ranks counted under it.

    Args:
        name: the rule.
        ranks: the strict ranks, with the others.
        info, data: the task as it is scored.
    """
    variant = ranks.variants.get(name)
    if variant is None:
        none = name == JUDGED and data.irrelevant is None
        return RelevanceInfo(undefined_reason=NONE_IRRELEVANT if none else NOT_COUNTED)
    if (reason := too_shallow(variant, variant_metrics(name, info.metrics))) is not None:
        return RelevanceInfo(undefined_reason=reason)
    return RelevanceInfo(
        scores=score_variant(name, variant, info.metrics, info.settings, info.groups),
        ranks_file=RanksInfo.of(variant, relevance_digest(name, ranks, variant)),
    )
