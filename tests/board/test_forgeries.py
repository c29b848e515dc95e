"""Forged submissions: each is one edit of a record that is in order, or of its ranks, and each is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.board.conftest import METRICS, edit_ranks, score, submittable
from tests.kit import edit, run
from xqr_bench.board.submissions import submit
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.core.types import Ranks
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.record import Record, load_record, ranks_digest, recompute, save_record, shortened
from xqr_bench.record.model import RanksInfo
from xqr_bench.record.relevance_files import relevance_digest, save_relevance

Forgery = Callable[[Path], object]
GONE = object()


@pytest.fixture(scope="module")
def record() -> Record:
    return submittable(evaluate("char-ngrams", metrics=(*METRICS, "language_order_w"))[0])


# How a forger works.


def put(place: str, value: Any) -> Forgery:
    """Write a value at a place of the record, its keys joined by slashes; GONE: remove it."""

    def change(data: Any) -> None:
        *above, last = place.split("/")
        for key in above:
            data = data[int(key)] if isinstance(data, list) else data.setdefault(key, {})
        if value is GONE:
            del data[last]
        elif isinstance(data, list):
            data[int(last)] = value
        else:
            data[last] = value

    return lambda path: edit(path, change)


def both(*forgeries: Forgery) -> Forgery:
    def forge(path: Path) -> None:
        for one in forgeries:
            one(path)

    return forge


def text(old: str, new: str) -> Forgery:
    """Replace the first of some bytes of the JSON."""

    def forge(path: Path) -> None:
        there = path.read_text(encoding="utf-8")
        assert old in there
        path.write_text(there.replace(old, new, 1), encoding="utf-8")

    return forge


def ranks(change: Callable[[Ranks], Ranks | None], *, rescored: bool = True) -> Forgery:
    """Change the ranks and sign them; `rescored`: and write the scores that follow from them."""

    def forge(path: Path) -> None:
        edit_ranks(path, change)
        if rescored:
            rescore(path)

    return forge


def rescore(path: Path) -> None:
    with suppress(XqrBenchError):  # what recompute refuses stays as it is
        save_record(recompute(load_record(path, ranks=True))[0], path)


def columns(change: Callable[[pa.Table], pa.Table], suffix: str = ".ranks.parquet", **packing: Any) -> Forgery:
    """Change the file of the ranks itself."""

    def forge(path: Path) -> None:
        file = path.with_suffix(suffix)
        table = pq.read_table(file)
        pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), file, **packing)

    return forge


def facts(**values: Any) -> Forgery:
    """Change what the ranks file says of itself."""

    def forge(path: Path) -> None:
        file = path.with_suffix(".ranks.parquet")
        table = pq.read_table(file)
        there = json.loads(table.schema.metadata[b"xqr_bench"])
        pq.write_table(table.replace_schema_metadata({"xqr_bench": json.dumps({**there, **values})}), file)

    return forge


def cast(name: str, type_: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.column_names.index(name)
        return table.set_column(index, name, table.column(name).cast(type_))

    return change


def with_null(table: pa.Table) -> pa.Table:
    values = table.column("gt_en").to_pylist()
    return table.set_column(table.column_names.index("gt_en"), "gt_en", pa.array([None, *values[1:]], pa.int32()))


def permuted_queries(found: Ranks) -> Ranks:
    """The question ids of one language in reverse, beside the counts of others."""
    questions = list(found.question_ids)
    rows = [row for row, language in enumerate(found.query_languages) if language == "en"]
    for row, other in zip(rows, reversed(rows), strict=True):
        questions[row] = found.question_ids[other]
    return replace(found, question_ids=questions)


def unretrieved(found: Ranks) -> Ranks:
    """Those far down are left out, as if the ranking were cut."""
    far = found.gt.sum(axis=1, keepdims=True) > 100
    return replace(found, gt=np.where(far, np.int32(-1), found.gt), eq=np.where(far, np.int32(0), found.eq), top=None)


def cut(depth: int) -> Forgery:
    """Say everywhere that the ranking is cut at a depth."""
    places = ("ranks_file", "relevance/lenient/ranks_file", "relevance/paragraph/ranks_file")
    stated = [put(f"{place}/depth", depth) for place in places]
    return both(ranks(lambda found: replace(found, depth=depth), rescored=False), *stated, rescore)


def cut_off(depth: int, metric: str) -> Forgery:
    """Cut the ranking of a run there, and add a metric; the best candidates, which would tell, are gone."""

    def change(found: Ranks) -> Ranks:
        far = (found.gt + found.eq).sum(axis=1, keepdims=True) > depth
        gt, eq = np.where(far, np.int32(-1), found.gt), np.where(far, np.int32(0), found.eq)
        return replace(found, gt=gt, eq=eq, top=None, depth=depth)

    def add(data: Any) -> None:
        del data["relevance"]
        data["ranks_file"]["depth"] = depth
        data["task"]["metrics"].append(metric)
        data["provenance"]["settings"]["metrics"] = None

    def forget(path: Path) -> None:
        path.with_suffix(".top.parquet").unlink()
        edit(path, lambda data: data.pop("top_file"))

    return both(forget, ranks(change, rescored=False), lambda path: edit(path, add), AS_RUN, rescore)


def lenient(change: Callable[[Ranks, Ranks], Ranks]) -> Forgery:
    """Change the lenient ranks, given the strict ones too, and sign them."""

    def forge(path: Path) -> None:
        record = load_record(path, ranks=True)
        changed = change(record.ranks, record.ranks_under("lenient"))
        save_relevance("lenient", record.ranks, changed, path.with_suffix(".lenient.parquet"))
        put("relevance/lenient/ranks_file/digest", relevance_digest("lenient", record.ranks, changed))(path)
        rescore(path)

    return forge


def left_above_some(strict: Ranks, there: Ranks) -> Ranks:
    """What leaves stood above every second relevant, and not above the others."""
    assert there.removed is not None
    less = np.minimum(there.removed[strict.row_queries], strict.gt)
    less[1::2] = 0
    return replace(there, gt=strict.gt - less, eq=strict.eq)


def index(depth: int | None, **more: Any) -> Forgery:
    """Say that the ranks are those of an index."""

    def change(data: Any) -> None:
        sizes = {code: size["candidates"] for code, size in data["task"]["counts"].items()}
        recall = {"recall_against_exact": {"10": 1.0}, "depth": depth} if depth else {}
        asked = {"type": more.get("type", "hnsw")}
        data["provenance"]["settings"]["index"] = asked
        data["index"] = {**INDEX, **asked, "sizes": sizes, **recall, **more}

    return both(lambda path: edit(path, change), cut(depth) if depth else lambda path: None)


INDEX = {
    "metric": "inner product",
    "parameters": {},
    "faiss": "1.9",
    "bytes": 1,
    "threads": 1,
    "build_seconds": 0.0,
    "search_seconds": 0.0,
}
HUB = put(
    "model", {"name": "lab/x", "identity": {"kind": "sentence-transformers", "name": "lab/x", "revision": "1" * 40}}
)
NONE = {"total": 9, "exact": 0, "near": 0, "touched": 0}


def found(**more: Any) -> Forgery:
    """Declare what a search found, that is nothing, but for these."""
    there = {
        "task": "mini",
        "languages": ["en"],
        "texts_searched": 5,
        "near": 0.5,
        "counts": {"question": NONE},
        **more,
    }
    return put("exposure", {"level": "none declared", "declared_by": "submitter", "found": there})


AS_RUN = both(
    put("model", {"name": "lab/run", "identity": {"kind": "run", "name": "run", "similarity": "none"}}),
    put("diagnostics", {}),
)


def swapped_columns(found: Ranks) -> None:
    found.gt[:, [0, 1]] = found.gt[:, [1, 0]]


W = "scores/multilingual/by_query_language/en/language_order_w"
MAP = "scores/multilingual/map"
TEXTS = "diagnostics/en/queries"
ZEROS = "0" * 64

FIGURES: dict[str, tuple[Forgery, str]] = {
    "interval of W, other method": (
        put(
            "scores/multilingual/language_order_w/interval",
            {
                "low": -5,
                "high": 99,
                "level": 0.5,
                "unit": "question",
                "method": "bootstrap, percentile, mine",
                "n_units": 3,
            },
        ),
        "follow",
    ),
    "interval of a language's W": (
        put(
            f"{W}/interval",
            {
                "low": -5,
                "high": 99,
                "level": 0.5,
                "unit": "question",
                "method": "bootstrap, percentile, 2000 resamples",
                "n_units": 3,
            },
        ),
        "follow",
    ),
    "interval missing": (put(f"{MAP}/interval", GONE), "follow"),
    "article interval missing": (put(f"{MAP}/article_interval", GONE), "follow"),
    "interval null": (put(f"{MAP}/interval", None), "follow"),
    "interval level": (put(f"{MAP}/interval/level", 0.5), "follow"),
    "interval unit": (put(f"{MAP}/interval/unit", "article"), "follow"),
    "interval units": (put(f"{MAP}/interval/n_units", 9999), "follow"),
    "interval redrawn": (put(f"{MAP}/interval/redrawn", 5), "follow"),
    "interval where there is none": (
        put(
            "scores/cross-lingual/by_language_pair/en>de/map/interval",
            {"low": 0.1, "high": 0.2, "level": 0.95, "unit": "question", "method": "bootstrap", "n_units": 24},
        ),
        "follow",
    ),
    "p": (put(f"{W}/p", 0.5), "follow"),
    "p missing": (put(f"{W}/p", GONE), "follow"),
    "p by article of a score": (put(f"{MAP}/p_article", 0.0), "follow"),
    "recall": (put("scores/multilingual/recall@1/value", 0.9), "follow"),
    "bias": (put("scores/multilingual/rank_distance/value", 0.0), "follow"),
    "bias reference": (put("scores/multilingual/rank_distance/random_reference", 0.1), "follow"),
    "ratio": (put("scores/multilingual/rank_distance/ratio_to_random", 0.1), "follow"),
    "pessimistic": (put(f"{MAP}/pessimistic", 0.99), "follow"),
    "pessimistic missing": (put(f"{MAP}/pessimistic", GONE), "follow"),
    "tied fraction": (put(f"{MAP}/tied_fraction", 0.0001), "follow"),
    "n": (put(f"{MAP}/n", 10**6), "follow"),
    "n undefined": (put(f"{MAP}/n_undefined", 3), "follow"),
    "undefined, with a reason": (put(MAP, {"value": None, "n": 264, "undefined_reason": "too good"}), "follow"),
    "reason beside a value": (put(f"{MAP}/undefined_reason", "too good"), "follow"),
    "floor": (put(f"{MAP}/floor", 0.9), "follow"),
    "ceiling": (put(f"{MAP}/ceiling", 0.5), "follow"),
    "group": (put("scores/multilingual/by_group/joshi-3/map/value", 0.9), "follow"),
    "group missing": (put("scores/multilingual/by_group/joshi-3", GONE), "follow"),
    "group more": (put("scores/multilingual/by_group/mine", {"map": {"value": 1.0, "n": 1}}), "follow"),
    "group empty": (put("scores/multilingual/by_group/mine", {}), "follow"),
    "pair": (put("scores/cross-lingual/by_language_pair/en>de/map/value", 0.9), "follow"),
    "pair missing": (put("scores/cross-lingual/by_language_pair/en>de", GONE), "follow"),
    "position": (put("scores/multilingual/by_language_pair/en>th/language_position/value", 0.0), "follow"),
    "metric at another cutoff": (put("scores/multilingual/recall@7", {"value": 1.0, "n": 264}), "follow"),
    "metric missing": (put("scores/multilingual/recall@1", GONE), "follow"),
    "metric named twice": (
        put("task/metrics", ["map", "map", "recall@1", "rank_distance", "language_position", "language_order_w"]),
        "twice|unique",
    ),
    "language swapped": (
        lambda path: edit(
            path,
            lambda data: (lambda parts: parts.update(en=parts["de"], de=parts["en"]))(
                data["scores"]["multilingual"]["by_query_language"]
            ),
        ),
        "follow",
    ),
    "lenient score": (put("relevance/lenient/scores/multilingual/map/value", 0.9), "follow"),
    "lenient interval": (put("relevance/lenient/scores/multilingual/map/interval", GONE), "follow"),
    "lenient pair": (
        put("relevance/lenient/scores/multilingual/by_language_pair", {"en>de": {"map": {"value": 1.0, "n": 1}}}),
        "follow",
    ),
    "lenient scores without ranks": (put("relevance/lenient/ranks_file", GONE), "lenient|follow"),
    "lenient undefined beside scores": (put("relevance/lenient/undefined_reason", "none"), "lenient|undefined"),
    "paragraph score": (put("relevance/paragraph/scores/multilingual/map/value", 0.9), "follow"),
    "another rule": (put("relevance/generous", {"undefined_reason": "x"}), "generous"),
    "value as text": (put(f"{MAP}/value", "0.3"), "valid number"),
    "value as truth": (put(f"{MAP}/value", True), "valid number"),
    "n as text": (put(f"{MAP}/n", "264"), "valid integer"),
    "n as float": (put(f"{MAP}/n", 264.0), "valid integer"),
    "n as truth": (put(f"{W}/n_undefined", False), "valid integer"),
    "value of many digits": (text('"value": 0.', '"value": 0' + "0" * 5000 + "."), "number|record|JSON|digits"),
    "huge count": (put("ranks_file/n_queries", 10**30), "too large"),
    "huge float": (put(f"{MAP}/value", 10**300), "follow|too large"),
    "key of a figure": (put(f"{MAP}/mine", 1.0), "schema"),
    "key twice": (text('"schema_version"', '"schema_version": 1, "schema_version"'), "twice"),
    "figure twice": (text('"value"', '"value": 0.9, "value"'), "twice"),
}

STATED: dict[str, tuple[Forgery, str]] = {
    "depth 1 beside complete counts": (cut(1), "only runs and indices have rankings that are cut"),
    "depth 1 beside complete counts, as a run": (both(cut(1), AS_RUN), "counts exceed the depth"),
    "depth -5 beside complete counts": (cut(-5), "greater than 0"),
    "depth 0": (cut(0), "greater than 0"),
    "depth true": (put("ranks_file/depth", True), "valid integer"),
    "depth beyond the pool beside complete counts": (cut(10**6), "only runs and indices"),
    "depth beyond the pool, as a run": (both(cut(10**6), AS_RUN), "cut deeper than there are candidates"),
    "depth of one language beside complete counts, as a run": (both(cut(39), AS_RUN), "counts exceed the depth"),
    "recall@10 of a ranking cut at 3": (cut_off(3, "recall@10"), "cut at 3 cannot give recall@10"),
    "depth in the record alone": (put("ranks_file/depth", 1000), "only runs and indices"),
    "relevants without ranks": (ranks(unretrieved), "negative"),
    "relevants without ranks, cut": (both(ranks(unretrieved), cut(1000)), "only runs and indices"),
    "n_queries": (put("ranks_file/n_queries", 263), "states other"),
    "n_relevants": (put("ranks_file/n_relevants", 263), "hold all ranks|states other"),
    "negative counts": (put("ranks_file/n_queries", -1), "greater than or equal"),
    "task counts": (put("task/counts/en/queries", 25), "counts per language"),
    "task counts negative": (put("task/counts/en/queries", -23), "greater than or equal"),
    "task counts of another language": (put("task/counts/fr", {"queries": 1, "candidates": 1}), "counts"),
    "questions negative": (put("task/n_questions", -1), "greater than or equal"),
    "languages twice": (put("task/languages/1", "ar"), "twice|languages"),
    "languages in another order": (
        lambda path: edit(path, lambda data: data["task"]["languages"].reverse()),
        "languages",
    ),
    "settings twice": (
        put("task/settings", ["monolingual", "monolingual", "cross-lingual", "multilingual"]),
        "twice|settings",
    ),
    "data digest": (put("task/files/en.json", ZEROS), "other data"),
    "data file more": (put("task/files/more.json", ZEROS), "other data"),
    "data file gone": (put("task/files/en.json", GONE), "other data"),
    "revision": (put("task/revision", "main"), "revision"),
    "partial": (put("task/partial", {"limit": 3}), "part of"),
    "digest of the ranks in capitals": (
        lambda path: edit(path, lambda data: data["ranks_file"].update(digest=data["ranks_file"]["digest"].upper())),
        "digest|not those",
    ),
    "no settings": (both(put("task/settings", []), put("scores", {}), put("relevance", {})), "settings"),
    "a setting that there is not": (put("task/settings/0", "polylingual"), "settings"),
    "no metrics": (put("task/metrics", []), "metrics"),
    "an older version": (put("schema_version", 0), "schema_version|not a record"),
    "version as truth": (put("schema_version", True), "schema_version"),
}

RANKS: dict[str, tuple[Forgery, str]] = {
    "query ids permuted": (ranks(permuted_queries), "queries, relevants"),
    "language columns swapped": (ranks(swapped_columns), "contradict|tie|stand|pool"),
    "languages of the facts swapped": (
        ranks(lambda r: replace(r, columns=(r.columns[1], r.columns[0], *r.columns[2:]))),
        "pools|relevants|possible|",
    ),
    "columns in another order": (columns(lambda t: t.select([*t.column_names[1:], t.column_names[0]])), "order"),
    "a column more": (columns(lambda t: t.append_column("mine", t.column("gt_en"))), "unknown column"),
    "a column twice": (columns(lambda t: t.append_column("gt_en", t.column("gt_en"))), "."),
    "a column less": (columns(lambda t: t.drop_columns(["eq_en"])), "lacks|order"),
    "counts of 64 bits": (columns(cast("gt_en", pa.int64())), "type"),
    "counts without sign": (columns(cast("gt_en", pa.uint32())), "type"),
    "counts of floats": (columns(cast("gt_en", pa.float64())), "type"),
    "gains of 32 bits": (columns(cast("gain", pa.float32())), "type"),
    "texts as bytes": (columns(cast("question", pa.binary())), "type"),
    "empty values": (columns(with_null), "empty values"),
    "rows in another order": (columns(lambda t: t.take(list(range(t.num_rows))[::-1])), "not those"),
    "rows twice": (columns(lambda t: pa.concat_tables([t, t])), "rows"),
    "half the rows": (columns(lambda t: t.slice(0, t.num_rows // 2)), "rows"),
    "other facts: depth": (facts(depth=True), "facts|digest|not those"),
    "other facts: a key more": (facts(mine=1), "facts"),
    "other facts: sizes as text": (facts(column_sizes=["23"] * 11), "facts"),
    "gains that are no numbers": (ranks(lambda r: replace(r, gains=r.gains * np.nan), rescored=False), "gain"),
    "gains without end": (ranks(lambda r: replace(r, gains=r.gains * np.inf), rescored=False), "gain"),
    "articles": (ranks(lambda r: replace(r, articles=r.articles * 0)), "articles"),
    "tops dropped of a row": (ranks(lambda r: r.top.__setitem__((0, 0), r.top[0, 0] + 5), rescored=False), "first"),
    "contradicting": (ranks(lambda r: replace(r, gt=np.zeros_like(r.gt), top=None), rescored=False), "contradict|tie"),
    "lenient removes more": (
        columns(
            lambda t: t.set_column(
                t.column_names.index("removed_en"), "removed_en", pa.array([9] * t.num_rows, pa.int32())
            ),
            ".lenient.parquet",
        ),
        "not of|possible|not those|left",
    ),
    "lenient: what left contradicts itself": (lenient(left_above_some), "lenient.*not possible: two relevants contra"),
    "tops of one language": (
        both(
            ranks(lambda r: replace(r, top=None), rescored=False),
            columns(lambda t: t.append_column("top_de", t.column("gt_en"))),
        ),
        "lacks the column 'top_ar'",
    ),
    "counts of own lists, one of two": (
        columns(lambda t: t.add_column(t.column_names.index("top_ar"), "own_gt", t.column("gt_en"))),
        "lacks the column 'own_eq'",
    ),
    "lenient: own lists beside ranks without": (
        columns(
            lambda t: t.add_column(t.column_names.index("removed_ar"), "own_gt", t.column("gt_en")),
            ".lenient.parquet",
        ),
        "unknown column",
    ),
    "lenient file of paragraph": (
        lambda path: path.with_suffix(".lenient.parquet").write_bytes(
            path.with_suffix(".paragraph.parquet").read_bytes()
        ),
        "lenient",
    ),
}

DECLARED: dict[str, tuple[Forgery, str]] = {
    "created: garbage": (put("provenance/created", "yesterday"), "created"),
    "created: no zone": (put("provenance/created", "2026-11-24T23:31:20"), "created"),
    "created: a day only": (put("provenance/created", "2026-11-24"), "created"),
    "created: empty": (put("provenance/created", ""), "created"),
    "created: no such day": (put("provenance/created", "2026-02-30T00:00:00+00:00"), "created"),
    "created: in a thousand years": (put("provenance/created", "2999-01-01T00:00:00+00:00"), "future"),
    "created: before there was a computer": (put("provenance/created", "0001-01-01T00:00:00+00:00"), "created"),
    "created: before there was the package": (put("provenance/created", "2000-01-01T00:00:00Z"), "before there was"),
    "python of the future": (put("provenance/python", "99.0"), "Python 99.0"),
    "python of the past": (put("provenance/python", "2.7"), "Python 2.7"),
    "packages as text": (put("provenance/packages/numpy", "2.4 (signed with the key RWQ)"), "packages"),
    "arguments: another model": (put("provenance/arguments/model", "evil/other"), "another model than it names"),
    "arguments: another hub model": (
        both(HUB, put("provenance/arguments/model", "evil/other")), "another model than it names"),
    "arguments: an option as the model": (
        both(HUB, put("provenance/arguments/model", "--trust-remote-code")), "an option as its model"),
    "identity: an option as the model": (
        both(HUB, put("model/identity/name", "--trust-remote-code")), "an option as its model"),
    "version of the future": (put("provenance/code_version", "99.0"), "update|newer|version"),
    "version: garbage": (put("provenance/code_version", "<b>1</b>"), "code_version"),
    "commit: garbage": (put("provenance/commit", "HEAD"), "commit"),
    "python: garbage": (put("provenance/python", "<script>"), "python"),
    "seconds below 0": (put("provenance/seconds/encoding", -5.0), "seconds"),
    "seconds as text": (put("provenance/seconds/encoding", "5"), "seconds"),
    "texts from the store above all": (
        put("provenance/texts", {"distinct": 3, "from_store": 5}), "store"),
    "texts below 0": (put("provenance/texts", {"distinct": -3, "from_store": -5}), "greater than or equal"),
    "provenance: a key more": (put("provenance/mine", 1), "schema"),
    "dimensions below 0": (put("model/identity/dimensions", -2048), "dimensions"),
    "dimensions 0": (put("model/identity/dimensions", 0), "dimensions"),
    "dimensions as text": (put("model/identity/dimensions", "2048"), "dimensions"),
    "length limit below 0": (put("model/identity/max_length", -1), "max_length"),
    "kept columns below 0": (put("model/identity/truncate_dim", -1), "truncate_dim"),
    "identity: another kind": (put("model/identity/kind", "oracle"), "kind"),
    "identity: a key more": (put("model/identity/mine", 1), "schema"),
    "a ceiling by name": (
        both(put("model/identity/kind", "baseline"), put("model/identity/name", "oracle")), "oracle|ceiling|baseline"),
    "a ceiling, all of it": (
        both(put("model/identity", {"kind": "baseline", "name": "oracle", "revision": "1", "similarity": "none",
                                    "model_kwargs": {}, "remote_code": False}), put("model/name", "oracle"),
             put("diagnostics", {})), "oracle|ceiling|baseline"),
    "a floor, all of it": (
        both(put("model/identity", {"kind": "baseline", "name": "random", "revision": "seed-0", "similarity": "none",
                                    "model_kwargs": {"seed": 0, "vector_dimensions": 64}, "remote_code": False}),
             put("model/name", "random"), put("diagnostics", {})), "random|floor|baseline"),
    "a baseline that there is not": (
        both(put("model/identity/kind", "baseline"), put("model/identity/name", "mine")), "baseline"),
    "a built-in that there is not": (put("model/identity/name", "super"), "built in|built-in|builtin"),
    "MaxSim of one vector a text": (put("model/identity/similarity", "maxsim"), "similarity"),
    "vectors of tokens compared as one": (put("model/identity/kind", "multi-vector-encoder"), "similarity"),
    "kind of an encoder, vectors of none": (put("model/identity/similarity", "none"), "similarity"),
    "a run with vectors": (both(put("model/identity/kind", "run"), put("model/name", "x")), "vectors"),
    "exposure: nobody declares": (
        put("exposure", {"level": "none declared", "declared_by": "nobody"}), "declare|nobody"),
    "exposure: declared by xqr-bench": (
        both(put("model/identity", {"kind": "python", "name": "x:Y", "revision": "1"}), put("model/name", "lab/x"),
             put("exposure", {"level": "none declared", "declared_by": "xqr-bench"})), "declare|xqr-bench"),
    "exposure: declared by mteb": (
        put("exposure", {"level": "none declared", "declared_by": "mteb"}), "mteb declares"),
    "exposure: declared by a training record that is not there": (
        put("exposure", {"level": "none declared", "declared_by": "training record"}), "training"),
    "exposure: a key more": (put("exposure", {"level": "unknown", "mine": 1}), "schema"),
    "exposure: found below 0": (
        put("exposure", {"level": "same source", "declared_by": "submitter", "found": {
            "task": "mini", "languages": ["en"], "texts_searched": -1, "near": 0.5,
            "counts": {"question": {"total": 1, "exact": 0, "near": 0, "touched": 0}}}}), "greater than or equal"),
    "exposure: more found than there is": (
        put("exposure", {"level": "evaluation text", "declared_by": "submitter", "found": {
            "task": "mini", "languages": ["en"], "texts_searched": 5, "near": 0.5, "level": "evaluation text",
            "counts": {"question": {"total": 1, "exact": 5, "near": 0, "touched": 0}}}}), "found|total"),
    "exposure: found, and the level hidden": (
        put("exposure", {"level": "none declared", "declared_by": "submitter", "found": {
            "task": "mini", "languages": ["en"], "texts_searched": 5, "near": 0.5,
            "counts": {"question": {"total": 9, "exact": 5, "near": 0, "touched": 0}}}}), "evaluation text|found"),
    "exposure: found in another task": (
        put("exposure", {"level": "none declared", "declared_by": "submitter", "found": {
            "task": "other", "languages": ["en"], "texts_searched": 5, "near": 0.5,
            "counts": {"question": {"total": 9, "exact": 0, "near": 0, "touched": 0}}}}), "task|other"),
    "exposure: found, of a kind that there is not": (found(counts={"haiku": NONE}), "pattern|haiku"),
    "exposure: found in a language that there is not": (found(languages=["klingon"]), "languages that the task"),
    "exposure: found in other languages": (found(by_language={"de": {"question": NONE}}), "other languages"),
    "exposure: found in one language, in all none": (
        found(by_language={"en": {"question": {**NONE, "touched": 1}}}), "not the sum over the languages"),
    "exposure: an example of none": (found(examples=[{"kind": "question", "exact": True}]), "more examples"),
    "exposure: an example of another kind": (found(examples=[{"kind": "title"}]), "of which nothing was found"),
    "exposure: found in no texts": (
        found(texts_searched=0, counts={"question": {**NONE, "touched": 1}}), "found in no text"),
    "exposure: everything is near": (found(near=0.0), "near"),
    "exposure: more questions than the task has": (
        found(counts={"question": {**NONE, "total": 10**6}}), "more questions than the task has"),
    "exposure: other questions than the task has": (
        found(by_language={"en": {"question": NONE}}), "other questions of en"),
    "exposure: a language that the task has not": (
        put("exposure", {"level": "unknown", "languages": {"qq": "trained"}}), "languages that the task"),
    "exposure: no level of a language": (
        put("exposure", {"level": "unknown", "languages": {"en": "<b>"}}), "not what the training says"),
    "exposure: untouched, yet trained on": (
        both(put("training", {"languages": {"trained": ["en"], "aligned_only": []}}),
             put("exposure", {"level": "unknown", "languages": {"en": "untouched"}})), "not what the training says"),
    "diagnostics below 0": (put("diagnostics/en/truncated_queries", -1), "greater than or equal"),
    "zero vectors below 0": (put("diagnostics/en/zero_queries", -1), "greater than or equal"),
    "more zero vectors than queries": (put("diagnostics/en/zero_queries", 10**6), "en"),
    "more truncated than queries": (put("diagnostics/en/truncated_candidates", 10**6), "en"),
    "diagnostics of a language that is not there": (put("diagnostics/fr", {"zero_queries": 0}), "no language"),
    "diagnostics: unknown above all tokens": (
        both(put(f"{TEXTS}/tokens", 5), put(f"{TEXTS}/unknown_tokens", 50)), "token"),
    "diagnostics: unknown of no tokens": (put(f"{TEXTS}/unknown_tokens", 5), "token"),
    "diagnostics: tokens below 0": (
        both(put(f"{TEXTS}/tokens", -5), put(f"{TEXTS}/unknown_tokens", -50)), "greater than or equal"),
    "diagnostics: characters below 0": (put(f"{TEXTS}/characters", -5), "greater than or equal"),
    "diagnostics: more vectors than texts": (put(f"{TEXTS}/vectors", 10**6), "vectors"),
    "diagnostics: texts below 0": (put(f"{TEXTS}/texts", -1), "greater than or equal"),
    "diagnostics: shared by one": (put(f"{TEXTS}/sharing", 1), "shar|vectors"),
    "diagnostics: all the same, said to be distinct": (put(f"{TEXTS}/sharing", 24), "shar|vectors"),
    "transform of nothing": (put("transform", {"name": "center"}), "transform"),
    "index with ranks that are not cut": (
        put("index", {"type": "hnsw", "metric": "inner product", "parameters": {}, "faiss": "1.9", "sizes": {"en": 23},
                      "depth": 1000, "bytes": 1, "threads": 1, "build_seconds": 0.0, "search_seconds": 0.0,
                      "recall_against_exact": {"10": 1.0}}), "index|depth"),
    "index that nobody asked for": (
        both(index(1000), put("provenance/settings/index", GONE)), "contradicts itself about its index"),
    "index of another type": (index(1000, type="quantum"), "no index 'quantum'"),
    "index with a parameter of another": (index(1000, parameters={"nlist": 2}), "no parameter 'nlist'"),
    "index recall of no number": (index(1000, recall_against_exact={"<b>": 1.0}), "no number of hits"),
    "index cut far below the last candidate": (index(10**6), "cut deeper than there are candidates"),
    "index recall above 1": (
        put("index", {"type": "flat", "metric": "inner product", "parameters": {}, "faiss": "1.9", "sizes": {"en": 23},
                      "bytes": 1, "threads": 1, "build_seconds": 0.0, "search_seconds": 0.0,
                      "recall_against_exact": {"10": 5.0}}), "recall|less than"),
    "index, times below 0": (
        put("index", {"type": "flat", "metric": "inner product", "parameters": {}, "faiss": "1.9", "sizes": {"en": 23},
                      "bytes": -1, "threads": 1, "build_seconds": -1.0, "search_seconds": 0.0}),
        "greater than or equal"),
    "context of the candidates removed": (
        put("provenance/arguments/candidate_context", "paragraph"), "context of its candidates"),
    "warnings as an object": (put("warnings", {"a": 1}), "warnings"),
    "a warning that is no text": (put("warnings", [1]), "warnings"),
    "run group as text": (put("run_group", "mine"), "run_group"),
}  # fmt: skip


# Of the short form: four counts a relevant, each possible by itself.

Change = Callable[[Ranks], Ranks]


def short(strict: Change = lambda there: there, **rules: Callable[[Ranks, Ranks], Ranks]) -> Forgery:
    """Put the short form there, its ranks changed, and those of these rules of relevance; the digests are right."""

    def forge(path: Path) -> None:
        record = shortened(load_record(path, ranks=True))
        changed, variants, relevance = strict(record.ranks), {}, dict(record.relevance)
        for name, info in record.relevance.items() if strict is WHOLE or rules else ():
            there = rules.get(name, lambda _, there: there)(changed, record.ranks_under(name))
            stated = RanksInfo.of(there, relevance_digest(name, changed, there))
            variants[name], relevance[name] = there, info.model_copy(update={"ranks_file": stated})
        changed = replace(changed, variants=variants)
        facts = {"ranks_file": RanksInfo.of(changed, ranks_digest(changed))}
        update = {**facts, "relevance": relevance if variants else {}, "ranks": changed}
        save_record(record.model_copy(update=update), path)

    return forge


def WHOLE(there: Ranks) -> Ranks:  # noqa: N802
    """The strict ranks as they are, with those of the other rules of relevance."""
    return there


def tops_elsewhere(there: Ranks) -> Ranks:
    """What stands first stands in the next language."""
    return replace(there, top=np.roll(there.top, 1, axis=1))


def as_good_as_each_list(there: Ranks) -> Ranks:
    """In the pool the relevants stand no deeper than in their own languages, and below each other."""
    gt, last = there.gt[:, 0].copy(), np.zeros(there.n_queries, dtype=np.int32)
    for row in np.lexsort((gt, there.row_queries)).tolist():
        query = there.row_queries[row]
        gt[row] = max(last[query], there.own_gt[row])
        last[query] = gt[row] + 1
    one = np.ones_like(gt)
    return replace(there, gt=gt[:, None], eq=one[:, None], own_eq=one, top=None)


def removed_of_own(there: Ranks) -> Any:
    return there.removed[there.row_queries, there.relevant_columns]


def left_of_own_alone(strict: Ranks, there: Ranks) -> Ranks:
    """Above a relevant all leave the list of its language, and none the pool."""
    less = np.minimum(removed_of_own(there), strict.own_gt)
    return replace(there, gt=strict.gt, eq=strict.eq, own_gt=strict.own_gt - less, own_eq=strict.own_eq)


def left_of_the_pool_alone(strict: Ranks, there: Ranks) -> Ranks:
    """Above a relevant all leave the pool, those of its language too, and none its own list."""
    all_left = there.removed.sum(axis=1)[there.row_queries]
    less = np.minimum(all_left, strict.gt[:, 0] - strict.own_gt)
    return replace(there, gt=strict.gt - less[:, None], eq=strict.eq, own_gt=strict.own_gt, own_eq=strict.own_eq)


def last_of_the_own_list(strict: Ranks, there: Ranks) -> Ranks:
    """The last relevant of a language stands at the end of its list, and in the pool where it stood."""
    last = np.append(np.diff(there.row_queries * 99 + there.relevant_columns) > 0, True)
    deep = strict.column_sizes[there.relevant_columns] - there.own_eq
    return replace(there, own_gt=np.where(last, np.minimum(deep, there.gt[:, 0]), there.own_gt).astype(np.int32))


def other_form(version: int) -> Forgery:
    """The ranks of one form beside a record of the other."""

    def forge(path: Path) -> None:
        record = load_record(path, ranks=True)
        variants = {name: record.ranks_under(name) for name in record.relevance}
        record = record.model_copy(update={"ranks": replace(record.ranks, variants=variants)})
        if version == 1:
            record = shortened(record)
        changed = record.model_copy(update={"schema_version": version})
        stored = changed.stored()
        save_record(changed.model_copy(update={"scores": stored.scores, "relevance": stored.relevance}), path)

    return forge


SHORT: dict[str, tuple[Forgery, str]] = {
    "tops in another language": (short(tops_elsewhere), "not possible: other candidates of the own language stand"),
    "a pool as good as each list": (short(as_good_as_each_list), "do not add up to those of the pool"),
    "own lists that are perfect": (
        short(lambda there: replace(there, own_gt=there.own_gt * 0, own_eq=there.own_eq * 0 + 1, top=None)),
        "do not add up to those of the pool",
    ),
    "lenient: left of the own list alone": (short(WHOLE, lenient=left_of_own_alone), "left the own language than the"),
    "lenient: left of the pool alone": (short(WHOLE, lenient=left_of_the_pool_alone), "left the other languages than"),
    "paragraph: last of its own list": (short(WHOLE, paragraph=last_of_the_own_list), "paragraph.*not possible"),
    "ranks of the long form": (other_form(2), "are of two forms"),
    "short ranks beside a long record": (other_form(1), "are of two forms|leaves out|not a ranks file"),
    "a rule left out for a reason": (
        put("relevance/lenient", {"undefined_reason": "the organisers agreed"}), "for no reason of xqr-bench"),
}  # fmt: skip

ASKED: dict[str, tuple[Forgery, str]] = {
    f"asked for {name} {value!r}": (put(f"provenance/{place}/{name}", value), f"contradicts itself about its {name}")
    for place, name, value in (
        ("arguments", "similarity", "dot"), ("arguments", "dtype", "bfloat16"), ("arguments", "max_length", 16),
        ("arguments", "truncate_dim", 8), ("arguments", "query_prompt", "query: "),
        ("arguments", "candidate_prompt", "passage: "), ("arguments", "limit", 5), ("settings", "limit", 5),
        ("arguments", "languages", ["en"]), ("settings", "languages", "en,de"), ("settings", "metrics", ["recall@7"]),
    )
}  # fmt: skip
ASKED["code of the model"] = (
    put("provenance/arguments/trust_remote_code", True),
    "contradicts itself about code that comes with the model",
)
ASKED["more columns than were kept"] = (put("model/identity/truncate_dim", 1), "about the columns of its vectors")

READABLE: dict[str, tuple[Forgery, str]] = {
    "hardware of two lines": (put("provenance/hardware/processor", "x\nVERIFIED"), "hardware processor is no short"),
    "hardware that turns round": (put("provenance/hardware/processor", "x\u202eV"), "hardware processor is no short"),
    "hardware that is long": (put("provenance/hardware/processor", "x" * 9999), "describes no machine"),
    "hardware of lists": (put("provenance/hardware/gpu", ["<b>"]), "describes no machine"),
    "hardware by other names": (put("provenance/hardware/the board says", "x"), "describes no machine"),
    "phases of two lines": (put("provenance/seconds/x\nVERIFIED", 1.0), "phases is no short line"),
    "an identity of two lines": (
        put("model", {"name": "lab/x", "identity": {"kind": "python", "name": "x:Y\nVERIFIED", "revision": "1"}}),
        "name is no short line",
    ),
    "a digest of words": (put("model/identity/digest", "signed by the organisers"), "digest is none"),
    "a type of words": (put("model/identity/dtype", "float32, proved"), "dtype is none"),
    "a base that turns round": (put("model/identity/base", "a\u202eb"), "base is no short line"),
    "20,000 warnings": (put("warnings", ["w" * 30] * 20_000), "declares more than anybody reads"),
    "a study of a megabyte": (put("run_group", {"k": "v" * 10**6}), "declares more than anybody reads"),
    "texts: 1": (
        put(TEXTS, {"texts": 1, "vectors": 1, "sharing": 0, "characters": 5}), "counts other texts of en than its"),
    "characters": (put(f"{TEXTS}/characters", 0), "counts other texts of en than its queries are"),
}  # fmt: skip

FORGERIES = {**FIGURES, **STATED, **RANKS, **DECLARED, **SHORT, **ASKED, **READABLE}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused(name: str, saved: Path, board: Path) -> None:
    forge, message = FORGERIES[name]
    forge(saved)
    with pytest.raises(XqrBenchError, match=message):
        submit(saved, board)
    assert not board.exists()


RECOMPUTED = (
    "interval of W, other method", "interval missing", "recall", "contradicting", "n_queries", "task counts",
    "no settings", "a setting that there is not", "no metrics",
)  # fmt: skip


@pytest.mark.parametrize("name", RECOMPUTED)
def test_recompute_refuses_what_the_board_refuses(name: str, saved: Path) -> None:
    FORGERIES[name][0](saved)
    assert run("recompute", str(saved)).code == 1


@pytest.fixture
def centred(saved: Path) -> Path:
    return save_record(score("char-ngrams", transform=TransformOptions("center")), saved)


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (put("transform", GONE), "contradicts itself about its transform.*\n.*center"),
        (both(put("transform", GONE), put("provenance/settings/transform", None),
              put("provenance/arguments/transform", "center")), "contradicts itself about its transform"),
        (put("transform/name", "whiten"), "contradicts itself about its transform"),
        (put("provenance/settings/transform", GONE), "contradicts itself about its transform"),
        (both(put("transform/name", "remove-9999"), put("transform/removed_directions", 9999),
              put("provenance/settings/transform", "remove-9999")), "contradicts itself about its transform"),
        (put("transform/dimensions", 10**6), "contradicts itself about its transform"),
        (put("transform/dimensions", -1), "greater than 0"),
        (put("transform/estimated_on/en/queries", -1), "greater than or equal to 0"),
        (put("transform/transductive", False), "contradicts itself about its transform"),
    ],
)  # fmt: skip
def test_a_forged_transform(forge: Forgery, message: str, centred: Path, board: Path) -> None:
    forge(centred)
    with pytest.raises(XqrBenchError, match=message):
        submit(centred, board)


def test_a_run_that_ranks_everything_is_cut_nowhere(bounds: list[Record], saved: Path, board: Path) -> None:
    """It may say that its lists end before the pool does: that makes no contest of its own."""
    save_record(bounds[1], saved)  # of the oracle: no relevant stands below the cut
    pool = int(bounds[1].ranks.column_sizes.sum())
    both(cut(pool - 1), AS_RUN)(saved)
    submit(saved, board)
    (row,) = read_leaderboard(board, test=False).rows
    assert (row.kind, row.protocol.name, row.protocol.depth) == ("run", "standard", pool - 1)


def test_a_relevant_below_the_cut_is_refused(saved: Path, board: Path) -> None:
    deepest = load_record(saved, ranks=True).ranks.counts
    both(cut(int((deepest.gt + deepest.eq).max()) - 1), AS_RUN)(saved)
    with pytest.raises(RecordError, match="counts exceed the depth the ranking is cut at"):
        submit(saved, board)


BM25 = {
    "kind": "baseline",
    "name": "bm25",
    "distribution": "bm25s 0.3.16",
    "similarity": "none",
    "model_kwargs": {
        "k1": 1.5,
        "b": 0.75,
        "method": "lucene",
        "tokenisation": "words; character bigrams where a script has no spaces (1)",
    },
}


@pytest.mark.parametrize(
    ("forge", "kind", "exposure"),
    [
        (put("model/name", "lab/super"), "encoder", "unknown"),
        (put("model/identity/digest", ZEROS), "encoder", "unknown"),
        (both(put("model", {"name": "lab/super", "identity": BM25}), put("diagnostics", {})), "run", "unknown"),
        (both(put("model", {"name": "bm25 of mine", "identity": BM25}), put("diagnostics", {})), "run", "unknown"),
    ],
)
def test_what_is_not_ours_is_no_baseline_and_declares_no_exposure(
    forge: Forgery, kind: str, exposure: str, saved: Path, board: Path
) -> None:
    forge(saved)
    submit(saved, board)
    (row,) = read_leaderboard(board, test=False).rows
    assert (row.kind, row.exposure_class) == (kind, exposure)


@pytest.mark.parametrize("name", ["char-ngrams", "char-ngrams+mine"])
def test_what_is_ours_counts_as_such_once_somebody_ran_it(name: str, saved: Path, board: Path) -> None:
    put("model/name", name)(saved)
    placed = submit(saved, board).record
    (row,) = read_leaderboard(board, test=False).rows
    assert (row.kind, row.exposure_class) == ("encoder", "unknown")
    assert run("reproduce", str(placed), "--by", "the lab").code == 0
    (row,) = read_leaderboard(board, test=False).rows
    assert (row.kind, row.exposure_class) == ("baseline", "unexposed")
