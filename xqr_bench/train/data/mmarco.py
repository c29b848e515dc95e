"""mMARCO (Bonifacio et al. 2021, arXiv 2108.13897): MS MARCO in 14 languages, from its TSV files.

Layout, as upstream publishes it (translation `google` or `helsinki`):

    data/triples.train.ids.small.tsv                                 query id, positive passage id, negative passage id
    data/<translation>/queries/train/<language>_queries.train.tsv    query id, text
    data/<translation>/collections/<language>_collection.tsv         passage id, text

Upstream also has a loading script; the library `datasets` runs no scripts any more (version 4), and its own TSV reader
would first copy every collection (3 to 8 GB a language) to get at the few percent that are training passages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xqr_bench.core.errors import DataError, DownloadError, UnknownNameError, UsageError
from xqr_bench.core.files import sha256_of
from xqr_bench.train.data.base import FORMATS, Entry, Item, Origin, Request, build
from xqr_bench.train.types import ParallelData

if TYPE_CHECKING:
    import pandas as pd

REPOSITORY = "unicamp-dl/mmarco"
REVISION = "8b1b4e10a63160594dcf6bd4ad38e06d1fc3bef8"
TRIPLES = "data/triples.train.ids.small.tsv"
NAMES = {
    "ar": "arabic",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "hi": "hindi",
    "id": "indonesian",
    "it": "italian",
    "ja": "japanese",
    "nl": "dutch",
    "pt": "portuguese",
    "ru": "russian",
    "vi": "vietnamese",
    "zh": "chinese",
}
OPTIONS = ("negatives", "translation")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Training queries in order: the passages that answer each, the first one first, and some that do not."""

    positives: Mapping[str, list[str]]
    negatives: Mapping[str, list[str]]


class MMarco:
    """`mmarco` downloads the pinned revision; a folder with the same layout is read where it is.

    Options: `negatives` (hard negatives a question, default 1), `translation` (google or helsinki, default google).
    """

    summary = "mmarco, or a folder with its files (data/triples.train.ids.small.tsv ...)"

    def claims(self, request: Request) -> bool:
        """Whether it is the name, or a folder with the triples."""
        return request.source == "mmarco" or (request.path / TRIPLES).is_file()

    def read(self, request: Request) -> ParallelData:
        """Read the triples, then each language's queries and the passages they name."""
        negatives, translation = _options(request)
        if request.languages is None:
            raise UsageError(
                "name the languages of mMARCO to read: each is a file of 3 to 8 GB",
                remedy=f"--languages with some of: {', '.join(NAMES)}",
            )
        for code in request.languages:
            if code not in NAMES:
                raise UnknownNameError("language of mMARCO", code, NAMES)
        files: dict[str, str] = {}
        chosen = _read_triples(_file(request, TRIPLES, files), request.limit, negatives)
        wanted = {key for ids in (*chosen.positives.values(), *chosen.negatives.values()) for key in ids}
        entries: dict[str, dict[str, Entry]] = {query: {} for query in chosen.positives}
        for code in request.languages:
            folder = f"data/{translation}"
            queries = _texts(request, f"{folder}/queries/train/{NAMES[code]}_queries.train.tsv", entries.keys(), files)
            passages = _texts(request, f"{folder}/collections/{NAMES[code]}_collection.tsv", wanted, files)
            for query, positive in chosen.positives.items():
                entry = _entry(query, positive, chosen.negatives.get(query, []), queries, passages)
                if entry is not None:
                    entries[query][code] = entry
        partial: dict[str, object] = {"languages": list(request.languages), "negatives": negatives}
        if request.limit is not None:
            partial["limit"] = request.limit
        local = request.source != "mmarco"
        origin = Origin(
            request.path.name if local else f"mmarco-{translation}",
            source=request.source if local else f"{REPOSITORY}@{REVISION}",
            files=files,
            partial=partial,
        )
        items = [Item(query, found, f"mMARCO query {query}") for query, found in entries.items() if found]
        return build(items, request.chosen(tuple(NAMES)), origin)


FORMATS.register("mmarco")(MMarco())


def _options(request: Request) -> tuple[int, str]:
    for name in request.options:
        if name not in OPTIONS:
            raise UnknownNameError("option of mmarco", name, OPTIONS)
    text = request.options.get("negatives", "1")
    if not text.isdecimal():
        raise UsageError(f"negatives of mmarco is {text!r}", remedy="give a whole number, 0 or more")
    translation = request.options.get("translation", "google")
    if translation not in ("google", "helsinki"):
        raise UnknownNameError("translation of mMARCO", translation, ("google", "helsinki"))
    return int(text), translation


def _file(request: Request, name: str, files: dict[str, str], *, digest: bool = True) -> Path:
    """Where a file is: in the folder, or downloaded at the pinned revision."""
    if request.source != "mmarco":
        path = request.path / name
        if not path.is_file():
            raise DataError(
                f"there is no file {path}", remedy=f"take it from {REPOSITORY} at {REVISION}, or leave its language out"
            )
    else:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

        try:
            path = Path(hf_hub_download(REPOSITORY, name, repo_type="dataset", revision=REVISION))
        except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
            raise DownloadError(
                f"cannot download {name} of {REPOSITORY}: {type(error).__name__}",
                found=str(error).splitlines()[0] if str(error) else None,
                remedy="check the network, or name a folder that has the files in the same layout",
            ) from error
    if digest:
        files[name] = sha256_of(path)
    return path


def _read_triples(path: Path, limit: int | None, negatives: int) -> _Chosen:
    """The first `limit` queries in order of appearance, with all their positives and some of their negatives."""
    import pyarrow as pa
    import pyarrow.csv as csv

    names = ("query", "positive", "negative")
    try:
        frame: pd.DataFrame = csv.read_csv(
            path,
            # one thread: only then messages name the row
            read_options=csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.int64())),
        ).to_pandas()
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path}: not three whole numbers with tabs between on every line",
            found=" ".join(str(error).split()),
            remedy="write: query id, positive passage id, negative passage id",
        ) from error
    if limit is not None:
        frame = frame[frame["query"].isin(frame["query"].drop_duplicates().head(limit))]
    positives = frame.drop_duplicates(["query", "positive"])
    others = frame.drop_duplicates(["query", "negative"]).groupby("query", sort=False).head(negatives)
    found: dict[str, list[str]] = {}
    for query, positive in zip(positives["query"].tolist(), positives["positive"].tolist(), strict=True):
        found.setdefault(str(query), []).append(str(positive))
    wrong: dict[str, list[str]] = {}
    for query, negative in zip(others["query"].tolist(), others["negative"].tolist(), strict=True):
        if str(negative) not in found[str(query)]:
            wrong.setdefault(str(query), []).append(str(negative))
    return _Chosen(found, wrong)


def _texts(request: Request, name: str, wanted: Iterable[str], files: dict[str, str]) -> dict[str, str]:
    """The texts of the wanted ids of an `id<tab>text` file; bytes are compared, so that most lines stay undecoded."""
    path = _file(request, name, files, digest=False)
    keys = {key.encode() for key in wanted}
    state = hashlib.sha256()
    found: dict[str, str] = {}
    number = 0
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            state.update(line)
            key, tab, text = line.partition(b"\t")
            if not tab:
                raise DataError(
                    f"{path}, line {number}: no tab between id and text",
                    found=repr(line[:60].decode("utf-8", "replace")),
                    remedy="take the file from its source again",
                )
            if key in keys:
                try:
                    found[key.decode()] = text.decode("utf-8").strip()
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{path}, line {number}: not UTF-8 text", remedy="take the file from its source again"
                    ) from error
    missing = keys - {key.encode() for key in found}
    if missing:
        raise DataError(
            f"{path} lacks {len(missing)} of {len(keys)} ids that the triples name",
            found=f"for example {min(missing).decode()}, in {number} lines",
            remedy="take the file from its source again",
        )
    files[name] = state.hexdigest()
    return found


def _entry(
    query: str, positive: list[str], negative: list[str], queries: Mapping[str, str], passages: Mapping[str, str]
) -> Entry | None:
    """A question in one language; None where the translation of its query or passage is empty."""
    text, passage = queries[query], passages[positive[0]]
    if not text or not passage:
        return None
    answers = {passages[key] for key in positive}
    negatives = tuple(passages[key] for key in negative if passages[key] and passages[key] not in answers)
    return Entry(text, passage, positive[0], negatives=negatives, also=tuple(positive[1:]))
