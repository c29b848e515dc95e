"""Records on disk: save, load, migrate, recompute."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload
from unicodedata import category, normalize

from pydantic import BaseModel, Field, InstanceOf, PrivateAttr, ValidationError

from xqr_bench.core import strict_json
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import atomic_path, now_at, refuse_unwritable, waiting_place, write_text
from xqr_bench.core.frames import Backend, data_frame
from xqr_bench.core.names import is_device, unseen
from xqr_bench.core.printable import is_text
from xqr_bench.core.types import LEAVING, MULTILINGUAL, STRICT, Ranks, collapses
from xqr_bench.encode import vector_store
from xqr_bench.measure.metrics import parse_metric, refuse_shallow
from xqr_bench.measure.scored import score_variant, scored
from xqr_bench.measure.scores import SettingScores
from xqr_bench.rank.rules import too_shallow, variant_metrics
from xqr_bench.record.beside import file_beside, naming_files, ranks_places, settle, top_digest, top_place
from xqr_bench.record.model import SCHEMA_VERSION, SHORT_VERSION, RanksInfo, ReadFrom, Record, RelevanceInfo
from xqr_bench.record.query_values import query_columns
from xqr_bench.record.rank_checks import check_possible, refuse_impossible
from xqr_bench.record.rank_files import load_ranks, ranks_digest, save_ranks
from xqr_bench.record.relevance_files import (
    load_relevance,
    relevance_digest,
    sampled_questions,
    save_relevance,
)
from xqr_bench.record.top_file import TopCandidates, check_top, load_top, save_top

if TYPE_CHECKING:
    import pandas
    import polars

# schema version -> a function that turns its JSON into that of the next version
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def folder_name(model: str) -> str:
    """A model's name as one folder name: `org/name` becomes `org__name`.

    Letters and digits of every script stay, in NFC, with the marks that belong to them; anything else is an underscore,
    so is a hyphen at the start, and one follows what Windows keeps for a device (`CON`).
    """
    visible = (
        c if c in "._-/" or (category(c)[0] in "LMN" and not unseen(c)) else "_" for c in normalize("NFC", model)
    )
    parts = [part.strip(".") for part in "".join(visible).split("/")]
    name = re.sub("^-", "_", "__".join(part for part in parts if part)) or "model"
    return f"{name}_" if is_device(name) else name


def record_path(output: Path, model: str, task: str) -> Path:
    """Where the record of `model` on `task` stands below `output`."""
    return output / folder_name(model) / f"{folder_name(task)}.json"


@checked
def record_files(paths: Iterable[Path | str]) -> list[Path]:
    """Files of records: each that is named, and for a folder all below it, by name.

    Raises:
        RecordError: there is no record below a folder.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(path)
            continue
        below = sorted(one for one in path.rglob("*.json") if any(one.parent.glob(f"{escape(one.stem)}.*parquet")))
        if not below:
            raise RecordError(
                f"there is no record in the folder {path}", remedy="records stand at <output>/<model>/<task>.json"
            )
        files += below
    return files


def to_json(record: Record) -> str:
    """The record as its file holds it: absent optional fields are left out, an undefined `value` is null."""
    record = record.stored()
    data = record.model_dump(mode="json", exclude_none=True)
    _write_nulls(record.scores, data["scores"])
    for name, under in record.relevance.items():
        _write_nulls(under.scores, data["relevance"][name]["scores"])
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False)
    # names of files need not be text: an escape stands for each byte or half of a character that UTF-8 does not have
    return re.sub("[\ud800-\udfff]", lambda half: rf"\\u{ord(half[0]):04x}", text) + "\n"


def _write_nulls(scores: dict[str, SettingScores], data: dict[str, Any]) -> None:
    for setting, of_setting in scores.items():
        for part, key, metric, figure in of_setting.items():
            if figure.value is None:
                place = data[setting]
                (place if part == "macro" else place[part][key])[metric]["value"] = None


class Result(Record):
    """A record with the ranks that its scores follow from, and the file it was read from; its JSON holds neither.

    It is a record itself, so that whatever reads, prints or draws a record takes what `evaluate` returns.
    """

    ranks: InstanceOf[Ranks] = Field(exclude=True, repr=False)
    place: Path | None = Field(default=None, exclude=True, repr=False)
    top: InstanceOf[TopCandidates] | None = Field(default=None, exclude=True, repr=False)
    _ranks_read: dict[str, Ranks] = PrivateAttr(default_factory=dict)
    _top_read: TopCandidates | None = PrivateAttr(default=None)
    _possible: Ranks | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, record: Record, ranks: Ranks, place: Path | None = None) -> Result:
        """The record with these ranks, at this file."""
        return cls.model_construct(record.model_fields_set, **dict(record), ranks=ranks, place=place)

    def check_possible(self) -> None:
        """Check once that the ranks can be ranks: see `rank_checks.check_possible`."""
        if self._possible is not self.ranks:
            check_possible(self.ranks)
            self._possible = self.ranks

    def ranks_under(self, relevance: str) -> Ranks:
        """The ranks under a rule of relevance, read from the file beside the record when they are first asked for.

        Raises:
            RecordError: there are no scores under this rule, or the file is missing or not that of the record.
        """
        self.scores_under(relevance)
        at_hand = {**self._ranks_read, **self.ranks.variants, STRICT: self.ranks}
        if relevance in at_hand:
            return at_hand[relevance]
        info = self.relevance[relevance].ranks_file
        if info is None or self.place is None:
            raise RecordError(
                f"the ranks of {relevance} relevance are not at hand", remedy="load the record from its file"
            )
        path, strict = file_beside(self.place, info), self.strict_under(relevance)
        # the paragraph file holds what the rule adds to the strict relevants, the others a row for each of them
        rows = info.n_relevants - (0 if relevance in LEAVING else strict.n_relevants)
        ranks = load_relevance(relevance, strict, path, rows)
        _check_digest(path, self.place, relevance_digest(relevance, strict, ranks), info.digest)
        self._ranks_read[relevance] = ranks
        return ranks

    def top_candidates(self) -> TopCandidates:
        """The best candidates of each query with ids and scores.

        Raises:
            RecordError: as `find_top`, or there are none.
        """
        top = self.find_top()
        if top is None:
            raise RecordError(
                f"the record of {self.model.name} on {self.task.name} does not tell its best candidates",
                found="a submission, short lists, or an older record" if self.top_file is None else "no file was read",
                remedy="evaluate again with --overwrite, or load the record from its file",
            )
        return top

    def find_top(self) -> TopCandidates | None:
        """The best candidates, where they are at hand or in a file beside the record, which is read once.

        A submission does not name that file: it belongs to the record whose ranks it follows from.

        Raises:
            RecordError: the file that the record names is missing, or is another one; or it contradicts the ranks.
        """
        if (at_hand := self.top or self._top_read) is not None or self.place is None:
            return at_hand
        if self.top_file is not None:
            path = file_beside(self.place, self.top_file)
        elif not (path := now_at(top_place(self.place), self.ranks_file.digest)).is_file():
            return None
        top = load_top(path, self.ranks)
        if self.top_file is not None:
            _check_digest(path, self.place, top.digest(), self.top_file.digest)
        check_top(top, self.ranks)
        self._top_read = top
        return top

    @overload
    def query_frame(
        self,
        metrics: Sequence[str] | None = None,
        settings: Sequence[str] | None = None,
        relevance: str = STRICT,
        backend: Literal["pandas"] = "pandas",
    ) -> pandas.DataFrame: ...
    @overload
    def query_frame(
        self,
        metrics: Sequence[str] | None = None,
        settings: Sequence[str] | None = None,
        relevance: str = STRICT,
        *,
        backend: Literal["polars"],
    ) -> polars.DataFrame: ...
    def query_frame(
        self,
        metrics: Sequence[str] | None = None,
        settings: Sequence[str] | None = None,
        relevance: str = STRICT,
        backend: Backend = "pandas",
    ) -> pandas.DataFrame | polars.DataFrame:
        """The values of single queries that the figures are means of, as a data frame: one row a ranking.

        Columns: task, model, setting, query_language, candidate_language (None: the pool of all languages), question,
        article (its number in the task), then each metric, NaN where it is undefined.

        Args:
            metrics: which; default: those of the record that give one value for each ranking.
            settings: which; default: all of the record.
            relevance: the rule of relevance.
            backend: the library that holds it: pandas, or polars (`pip install polars`).

        Raises:
            UsageError: a metric that gives no value for one ranking, or is none; a setting the record does not have;
                there is no such library, or it is not installed.
            RecordError: the record has no ranks under this rule.
        """
        return data_frame(query_columns(self, self.ranks_under(relevance), metrics, settings), backend)

    def strict_under(self, relevance: str) -> Ranks:
        """The strict ranks of the questions that the ranks under a rule of relevance are of."""
        n = self.relevance[relevance].questions
        return self.ranks if n is None else self.ranks.of_questions(sampled_questions(self.ranks.question_ids, n))


@checked
def save_record(result: Result, path: Path) -> Path:
    """Write the record to `path` and its ranks beside it; what was there is replaced by one renaming, of the record.

    The ranks stand in `<task>.ranks.parquet`, those under other rules of relevance in `<task>.<rule>.parquet`, the best
    candidates of each query in `<task>.top.parquet`. Until the record is in its place they wait under names that hold
    digests, where a reader of the record looks first: whoever is stopped in between leaves the old record with its
    ranks, or the new one with its own.

    Returns:
        the path of the record.

    Raises:
        XqrBenchError: it cannot be written there.
    """
    refuse_unwritable(path)
    if not is_text(path.name):
        raise RecordError(f"a record at {path} names its ranks, and can name only text", remedy="name it in UTF-8")
    variants = {name: result.ranks_under(name) for name, info in result.relevance.items() if info.ranks_file}
    ranks_path = ranks_places(path)[STRICT]
    top = result.find_top()
    save_ranks(result.ranks, waiting_place(ranks_path, result.ranks_file.digest))
    for name, ranks in variants.items():
        rule_path, info = ranks_places(path)[name], result.relevance[name].ranks_file
        assert info is not None
        save_relevance(name, result.strict_under(name), ranks, waiting_place(rule_path, info.digest))
    _set_top_aside(path)
    if top is not None:
        save_top(top, waiting_place(top_place(path), top_digest(result)), small=result.short)
    named = naming_files(result, path)
    write_text(path, to_json(named))
    settle(named, path)
    return path


def _set_top_aside(path: Path) -> None:
    """Let the best candidates of the record that stands at `path` wait for it, as long as it is there."""
    place = top_place(path)
    if place.is_file():
        with suppress(RecordError):
            place.replace(waiting_place(place, top_digest(load_record(path, whole=False))))
            return
        place.unlink()  # of no record


@overload
def load_record(path: Path | str, *, ranks: Literal[True], whole: bool = True) -> Result: ...
@overload
def load_record(path: Path | str, *, ranks: bool = False, whole: bool = True) -> Record: ...
@checked
def load_record(path: Path | str, *, ranks: bool = False, whole: bool = True) -> Record:
    """Read a record of this or any older schema version.

    Args:
        path: the JSON file.
        ranks: also read the ranks file beside it and check its digest.
        whole: compute what a submission leaves out from its ranks (seconds, once: see `proved`).

    Raises:
        RecordError: the file is missing, is not a record, is of a newer version, or does not fit its ranks; a
            submission's figures do not follow from its ranks.
    """
    path = Path(path)
    remedy = "name the JSON file of a record"
    try:
        data = strict_json.read(path)
    except FileNotFoundError:
        raise RecordError(
            f"there is no record {path}", remedy="records stand at <output>/<model>/<task>.json"
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} is not a record: {why}", remedy=remedy) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        raise RecordError(f"{path} is not a record", found="no schema_version", remedy=remedy)
    if version > SHORT_VERSION:
        raise RecordError(
            f"{path} has the schema version {version}",
            found=f"this xqr-bench reads versions up to {SHORT_VERSION}",
            remedy="update xqr-bench",
        )
    while version < SCHEMA_VERSION:
        data = MIGRATIONS[version](data)
        version += 1
    try:
        record = strict_json.validate(Record, data)
    except ValidationError as error:
        raise RecordError(
            f"{path} does not follow the record schema: {strict_json.first_fault(error)}",
            remedy="compare it with leaderboard/schema.json",
        ) from error
    record._read_from = ReadFrom(path)
    if record.short and record != record.stored():
        raise RecordError(f"{path} holds figures that a submission leaves out", remedy="submit it again")
    whole = whole and record.short
    if not ranks and not whole:
        return record
    ranks_path = file_beside(path, record.ranks_file)
    loaded = load_ranks(ranks_path, record.ranks_file.n_relevants)
    loaded = replace(loaded, relevant_from=record.task.relevant_from or 0.0)
    two_forms = len(loaded.columns) > 1 and not loaded.separate and loaded.by_language == record.short
    if collapses(loaded.columns):  # pooled in either form of a record
        two_forms = loaded.by_language
    if two_forms:
        forms = ("pooled, as of a submission", "by language, as evaluate writes them")
        raise RecordError(
            f"{path} and {ranks_path} are of two forms",
            found=f"schema version {record.schema_version}; the ranks are {forms[loaded.by_language]}",
            remedy="get the files of one evaluation, or submit the record again",
        )
    _check_digest(ranks_path, path, ranks_digest(loaded), record.ranks_file.digest)
    result = Result.of(record, loaded, path)
    of_pairs = any(parse_metric(name).of_pairs for name in record.task.metrics)
    if of_pairs and (top := result.find_top()) is not None:
        result = Result.of(record, top.with_places(loaded), path)
    return proved(result) if whole else result


def _check_digest(path: Path, record: Path, digest: str, stated: str) -> None:
    if digest != stated:
        raise RecordError(
            f"the ranks in {path} are not those of the record {record}",
            found=f"digest {digest[:12]}…, the record says {stated[:12]}…",
            remedy="get the files of one evaluation, or evaluate again",
        )


class Difference(NamedTuple):
    """A part of a figure, or a whole one, that does not follow from the ranks, or is missing (stored None)."""

    place: str
    stored: Any
    recomputed: Any


@checked
def recompute(record: Result, *, whole: bool = False, to_the_bit: bool = True) -> tuple[Result, list[Difference]]:
    """Check the record's ranks, and compute every score and interval anew from them.

    Args:
        record: with its ranks.
        whole: also those that the file of a submission leaves out.
        to_the_bit: as of `attach_certainty`.

    Returns:
        the record with the recomputed scores, and the differences from the stored ones: numbers that differ by more
        than 1e-9 of their size, and figures and intervals that only one side has.

    Raises:
        RecordError: as `check_ranks`.
    """
    check_ranks(record)
    ranks, task = record.ranks, record.task
    details = whole or not record.short
    how: Any = {"details": details, "to_the_bit": to_the_bit}
    scores, _ = scored(ranks, task.metrics, task.settings, task.groups, **how)
    relevance = {}
    for name, info in record.relevance.items():
        under: dict[str, SettingScores] = {}
        if info.ranks_file is not None:
            variant = record.ranks_under(name)
            under = score_variant(name, variant, task.metrics, task.settings, task.groups, **how)
        relevance[name] = info.model_copy(update={"scores": under})
    new = record.model_copy(update={"scores": scores, "relevance": relevance})
    differences = list(_differences(_scores(record.stored()), _scores(new.stored())))
    return new if details else new.stored(), differences


def proved(record: Result, *, again: bool = False, tell: Callable[[], None] | None = None) -> Result:
    """The record, every figure of which was found to follow from its ranks; of a submission, what it leaves out too.

    A file in the user's cache folder says that it was: its name is a digest of the record, which names the digests of
    its ranks, and of this code; it holds what a submission leaves out. Whoever deletes it has that computed once more.

    Args:
        record: with its ranks.
        again: compute the figures (seconds) even where that file is there, and of a submission no others.
        tell: is called before figures are computed.

    Raises:
        RecordError: as `check_ranks`, or a figure does not follow from the ranks.
    """
    digest = hashlib.sha256(code_digest().encode() + to_json(record).encode()).hexdigest()
    proof = vector_store().folder / "proved" / digest
    if not again and proof.is_file():
        with suppress(OSError, EOFError, ValueError, zlib.error):  # a damaged one is made anew
            return _with_details(record, proof) if record.short else record
    if tell is not None:
        tell()
    new, differences = recompute(record, whole=not again, to_the_bit=not again)
    for first in differences[:1]:
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise RecordError(
            f"scores do not follow from the ranks: {first.place}{more}",
            found=f"stored {first.stored}, recomputed {first.recomputed}",
            remedy="submit what xqr-bench evaluate wrote; recompute --write mends a record",
        )
    if not record.short:
        new = record
    elif again:
        return record
    with suppress(OSError):  # nothing but time is lost
        content = _details(new) if record.short else b""
        with atomic_path(proof) as temporary:
            temporary.write_bytes(content)
    return new


class _Details(BaseModel):
    """The scores of a record."""

    scores: dict[str, SettingScores]
    relevance: dict[str, RelevanceInfo]


def _details(record: Record) -> bytes:
    """The scores of a record, packed."""
    return gzip.compress(record.model_dump_json(include=set(_Details.model_fields)).encode(), mtime=0)


def _with_details(record: Result, proof: Path) -> Result:
    """The record with the scores that `_details` packed."""
    packed = _Details.model_validate_json(gzip.decompress(proof.read_bytes()))
    return record.model_copy(update=dict(packed))


@cache
def code_digest() -> str:
    """SHA-256 over the source of this package: other code may find other figures."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()


def check_ranks(record: Result) -> None:
    """Check that the ranks of a record are possible, under every rule of relevance, and are as the record says.

    Raises:
        RecordError: they are not, or the best candidates of each query do not follow from them.
    """
    ranks, task = record.ranks, record.task
    record.check_possible()
    if (top := record.find_top()) is not None:
        check_top(top, ranks)
    of_language = Counter(ranks.query_languages)
    sizes = dict(zip(ranks.columns, ranks.column_sizes.tolist(), strict=True))
    pairs: list[tuple[str, object, object]] = [
        ("task", task.name, ranks.task),
        ("languages", task.languages, list(ranks.columns)),
        (
            "queries and candidates of each language",
            {code: (size.queries, size.candidates) for code, size in task.counts.items()},
            {code: (of_language[code], sizes.get(code, 0)) for code in ranks.all_languages},
        ),
        ("number of questions", task.n_questions, len(set(ranks.question_ids))),
        ("number of articles", task.n_articles, len(set(ranks.articles.tolist()))),
        ("queries, relevants, depth", *_sizes(record.ranks_file, ranks)),
    ]
    pairs += [
        (f"queries, relevants, depth of {name} relevance", *_sizes(info.ranks_file, record.ranks_under(name)))
        for name, info in record.relevance.items()
        if info.ranks_file is not None
    ]
    for what, stated, found in pairs:
        if stated != found:
            raise RecordError(
                f"the record states other counts than its ranks have: {what}",
                found=f"the record: {stated!s:.200}; the ranks: {found!s:.200}",
                remedy="get the files of one evaluation, or evaluate again",
            )
    _check_cut(record)


def _check_cut(record: Result) -> None:
    """A ranking that is cut holds no more than its depth, and enough for its metrics under every rule of relevance."""
    ranks, task, depth = record.ranks, record.task, record.ranks.depth
    if depth is None:
        return
    for metric in task.metrics:
        parse_metric(metric)
    under = {name: record.ranks_under(name) for name, info in record.relevance.items() if info.ranks_file is not None}
    pool = int(ranks.column_sizes.sum() if MULTILINGUAL in task.settings else ranks.column_sizes.min())
    if record.index is None:  # an index cuts each language by itself, a run its whole list
        for name, of_rule in {STRICT: ranks, **under}.items():
            gt, eq, own_gt, own_eq = of_rule.counts
            deeper = (gt + eq > depth) | (own_gt + own_eq > depth)
            refuse_impossible(of_rule, {"counts exceed the depth the ranking is cut at": deeper}, name)
    if record.index is not None or depth < pool:
        refuse_shallow(task.metrics, depth, remedy="evaluate again, with a ranking of {depth} candidates or more")
    for name, of_rule in under.items():
        if (reason := too_shallow(of_rule, variant_metrics(name, task.metrics))) is not None:
            raise RecordError(f"there can be no figures of {name} relevance", found=reason, remedy="evaluate again")


def _sizes(stated: RanksInfo, ranks: Ranks) -> tuple[object, object]:
    return (
        (stated.n_queries, stated.n_relevants, stated.depth),
        (ranks.n_queries, ranks.n_relevants, ranks.depth),
    )


def _scores(record: Record) -> dict[str, Any]:
    """The scores under every rule of relevance as data, by where they stand in the record."""
    scores = {"scores": record.scores, **{f"relevance.{name}": info.scores for name, info in record.relevance.items()}}
    return {
        place: {name: of_setting.model_dump(mode="json") for name, of_setting in under.items()}
        for place, under in scores.items()
    }


def _differences(stored: Any, new: Any, place: str = "") -> Iterator[Difference]:
    difference = Difference(place, stored, new)
    if isinstance(stored, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*stored, *new]):
            yield from _differences(stored.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(stored, float | int) and isinstance(new, float | int):
        if not math.isclose(stored, new, rel_tol=1e-9, abs_tol=1e-12):
            yield difference
    elif stored != new:
        yield difference
