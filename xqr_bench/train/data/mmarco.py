"""mMARCO (Bonifacio et al. 2021, arXiv 2108.13897): MS MARCO in 14 languages, from its TSV files.

Layout, as upstream publishes it (translation `google` or `helsinki`):

    data/triples.train.ids.small.tsv                                 query id, positive passage id, negative passage id
    data/<translation>/queries/train/<language>_queries.train.tsv    query id, text
    data/<translation>/collections/<language>_collection.tsv         passage id, text

Upstream also has a loading script; the library `datasets` runs no scripts any more (version 4), and its own TSV reader
would first copy every collection (3 to 8 GB a language) to get at the few percent that are training passages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xqr_bench.core.errors import DataError, DownloadError, UnknownNameError, UsageError
from xqr_bench.core.files import sha256_of
from xqr_bench.core.printable import stripped
from xqr_bench.train.data.base import FORMATS, Entry, Item, Lines, Request, build
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
TRANSLATIONS = ("google", "helsinki")


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
        triples = _file(request, TRIPLES)
        files = {TRIPLES: sha256_of(triples)}
        positives, wrong = _read_triples(triples, request.limit, negatives)
        wanted = {key for ids in (*positives.values(), *wrong.values()) for key in ids}
        entries: dict[str, dict[str, Entry]] = {query: {} for query in positives}
        for code in request.languages:
            folder = f"data/{translation}"
            queries = _texts(request, f"{folder}/queries/train/{NAMES[code]}_queries.train.tsv", entries.keys(), files)
            passages = _texts(request, f"{folder}/collections/{NAMES[code]}_collection.tsv", wanted, files)
            for query, positive in positives.items():
                text, passage = queries[query], passages[positive[0]]
                if not text or not passage:
                    continue  # a translation that is empty
                answers = {passages[key] for key in positive}
                others = [passages[key] for key in wrong.get(query, []) if passages[key]]
                entries[query][code] = Entry(
                    text,
                    passage,
                    positive[0],
                    negatives=tuple(other for other in others if other not in answers),
                    also=tuple(positive[1:]),
                )
        local = request.source != "mmarco"
        return build(
            (Item(query, texts, f"mMARCO query {query}") for query, texts in entries.items() if texts),
            request.chosen(NAMES),
            name=request.path.name if local else f"mmarco-{translation}",
            source=request.source if local else f"{REPOSITORY}@{REVISION}",
            files=files,
            partial={"languages": list(request.languages), "negatives": negatives, **request.left_out(NAMES)},
        )


FORMATS.register("mmarco")(MMarco())


def _options(request: Request) -> tuple[int, str]:
    options = {"negatives": "1", "translation": TRANSLATIONS[0]}
    for name in request.options:
        if name not in options:
            raise UnknownNameError("option of mmarco", name, options)
    negatives, translation = {**options, **request.options}.values()
    if not negatives.isdecimal():
        raise UsageError(f"negatives of mmarco is {negatives!r}", remedy="give a whole number, 0 or more")
    if translation not in TRANSLATIONS:
        raise UnknownNameError("translation of mMARCO", translation, TRANSLATIONS)
    return int(negatives), translation


def _file(request: Request, name: str) -> Path:
    """Where a file is: in the folder, or downloaded at the pinned revision."""
    if request.source != "mmarco":
        path = request.path / name
        if not path.is_file():
            raise DataError(
                f"there is no file {path}", remedy=f"take it from {REPOSITORY} at {REVISION}, or leave its language out"
            )
        return path
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(hf_hub_download(REPOSITORY, name, repo_type="dataset", revision=REVISION))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise DownloadError(
            f"cannot download {name} of {REPOSITORY}: {type(error).__name__}",
            found=str(error).splitlines()[0] if str(error) else None,
            remedy="check the network, or name a folder that has the files in the same layout",
        ) from error


def _read_triples(
    path: Path, limit: int | None, negatives: int
) -> tuple[Mapping[str, list[str]], Mapping[str, list[str]]]:
    """The first `limit` queries in order of appearance: all passages that answer each, and some that do not."""
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
    right: dict[str, list[str]] = {}
    for query, positive in frame[["query", "positive"]].drop_duplicates().astype(str).itertuples(index=False):
        right.setdefault(query, []).append(positive)
    wrong: dict[str, list[str]] = {}
    others = frame[["query", "negative"]].drop_duplicates().groupby("query", sort=False).head(negatives)
    for query, negative in others.astype(str).itertuples(index=False):
        if negative not in right[query]:
            wrong.setdefault(query, []).append(negative)
    return right, wrong


def _texts(request: Request, name: str, wanted: Iterable[str], files: dict[str, str]) -> dict[str, str]:
    """The texts of the wanted ids of an `id<tab>text` file; bytes are compared, so that most lines stay undecoded."""
    lines = Lines(_file(request, name))
    keys = {key.encode() for key in wanted}
    texts: dict[str, str] = {}
    number = 0
    for number, line in lines:
        key, tab, text = line.partition(b"\t")
        if not tab:
            shown = repr(line[:60].decode("utf-8", "replace"))
            raise lines.fail(number, "no tab between id and text", found=shown, remedy="take the file anew")
        if key in keys:
            texts[key.decode()] = stripped(lines.decode(number, text))
    files[name] = lines.digest
    missing = sorted(keys - {key.encode() for key in texts})
    if missing:
        raise DataError(
            f"{lines.path} lacks {len(missing)} of {len(keys)} ids that the triples name",
            found=f"for example {missing[0].decode()}, in {number} lines",
            remedy="take the file from its source again",
        )
    return texts
