"""Line-aligned bitext, as NTREX-128: a folder of `<language>.txt`; line i of every file is the same sentence."""

from __future__ import annotations

from pathlib import Path

from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import stripped
from xqr_bench.tasks.sources import data_folder
from xqr_bench.train.data.base import FORMATS, Entry, Item, Lines, Request, build, files_by_language
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
        languages = request.chosen(paths)
        files: dict[str, str] = {}
        texts = {code: _column(paths[code], files) for code in languages}
        documents = _column(folder / DOCUMENTS, files) if (folder / DOCUMENTS).is_file() else []
        lengths = {paths[code].name: len(column) for code, column in texts.items()}
        if documents:
            lengths[DOCUMENTS] = len(documents)
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"{folder}: the files do not have the same number of lines",
                found=", ".join(f"{name} {n}" for name, n in lengths.items()),
                remedy="line i of every file is the same sentence; leave a line empty where a language lacks it",
            )
        items = []
        for i, sentences in enumerate(list(zip(*texts.values(), strict=True))[: request.limit]):
            document = documents[i].split("\t")[0].strip() if documents else ""
            entries = {
                code: Entry(text, text, str(i + 1), document)
                for code, text in zip(languages, sentences, strict=True)
                if text
            }
            if entries:
                items.append(Item(f"line-{i + 1}", entries, f"{folder}, line {i + 1}"))
        partial = request.left_out(paths)
        about = {"name": folder.name, "source": request.source}
        return build(items, languages, kind="bitext", files=files, partial=partial, **about)


FORMATS.register("bitext")(Bitext())


def _folder(request: Request) -> Path:
    if not request.path.is_dir() and len(request.path.parts) == 1:
        base = data_folder(request.data_dir)
        if base is not None:
            return base / request.source
    return request.path


def _column(path: Path, files: dict[str, str]) -> list[str]:
    lines = Lines(path)
    column = [stripped(text) for _, text in lines.texts()]
    files[path.name] = lines.digest
    return column
