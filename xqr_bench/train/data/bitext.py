"""Line-aligned bitext, as NTREX-128: a folder of `<language>.txt`; line i of every file is the same sentence."""

from __future__ import annotations

from pathlib import Path

from xqr_bench.core.errors import DataError
from xqr_bench.tasks.sources import data_folder
from xqr_bench.train.data.base import FORMATS, Entry, Item, Lines, Origin, Request, build, files_by_language
from xqr_bench.train.types import ParallelData

DOCUMENTS = "DOCUMENT_IDS.tsv"


class Bitext:
    """A sentence is the query, its translation the passage; a line that is empty in a language is not in it.

    `DOCUMENT_IDS.tsv`, where it is there, gives each line's document, the unit of held-out parts. The folder's name
    alone is looked up in the data folder too: `ntrex`.
    """

    summary = "a folder of line-aligned <language>.txt (NTREX)"

    def claims(self, request: Request) -> bool:
        """Whether it is a folder with two or more `<language>.txt`."""
        return len(files_by_language(_folder(request), ".txt")) > 1

    def read(self, request: Request) -> ParallelData:
        """Read the chosen languages' files."""
        folder = _folder(request)
        paths = files_by_language(folder, ".txt")
        if len(paths) < 2:
            raise DataError(
                f"{folder} is no bitext: it has {len(paths)} files <language>.txt",
                remedy="name a folder with a text file a language, line i of each the same sentence",
            )
        chosen = request.chosen(list(paths))
        files: dict[str, str] = {}
        texts: dict[str, list[str]] = {}
        for code in chosen:
            lines = Lines(paths[code])
            texts[code] = [text.strip() for _, text in lines]
            files[paths[code].name] = str(lines.digest)
        documents: list[str] = []
        if (folder / DOCUMENTS).is_file():
            lines = Lines(folder / DOCUMENTS)
            documents = [text.split("\t")[0].strip() for _, text in lines]
            files[DOCUMENTS] = str(lines.digest)
        _refuse_lengths({**{paths[code].name: texts[code] for code in chosen}, DOCUMENTS: documents}, str(folder))
        n = len(texts[chosen[0]])
        items = []
        for i in range(n if request.limit is None else min(n, request.limit)):
            document = documents[i] if documents else ""
            entries = {
                code: Entry(texts[code][i], texts[code][i], str(i + 1), document) for code in chosen if texts[code][i]
            }
            if entries:
                items.append(Item(f"line-{i + 1}", entries, f"{folder}, line {i + 1}"))
        partial: dict[str, object] = {} if len(chosen) == len(paths) else {"languages": list(chosen)}
        if request.limit is not None:
            partial["limit"] = request.limit
        origin = Origin(folder.name, source=request.source, kind="bitext", files=files, partial=partial)
        return build(items, chosen, origin)


FORMATS.register("bitext")(Bitext())


def _folder(request: Request) -> Path:
    if not request.path.is_dir() and len(request.path.parts) == 1:
        base = data_folder(request.data_dir)
        if base is not None:
            return base / request.source
    return request.path


def _refuse_lengths(columns: dict[str, list[str]], folder: str) -> None:
    lengths = {name: len(column) for name, column in columns.items() if column}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{folder}: the files do not have the same number of lines",
            found=", ".join(f"{name} {n}" for name, n in lengths.items()),
            remedy="line i of every file is the same sentence; leave a line empty where a language lacks it",
        )
