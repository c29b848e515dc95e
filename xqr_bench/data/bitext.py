"""A folder of translated sentences: one text file a language, line by line translations of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from xqr_bench.errors import DataError
from xqr_bench.types import Candidate, Query, TaskData

LAYOUT = "FOLDER/<language>.txt (en.txt, de.txt ...), UTF-8, line n of each a translation of line n of the others"


def read_bitext(folder: Path | str, languages: Sequence[str]) -> TaskData:
    """Read the translations in some languages, each sentence as a query and as a candidate.

    Lines that are blank in one of the languages are left out in all. Ids are `lang:line`, 0-based; the relevants of a
    query are its translations, itself included.

    Args:
        folder: see LAYOUT; other files in it are not looked at.
        languages: those wanted, in order.

    Returns:
        task data with the folder's name; `files` holds the digest of each file.

    Raises:
        DataError: there is no such folder, a language or its file is missing or no text, or the files have different
            numbers of lines.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder} of translated sentences", remedy=f"the layout is {LAYOUT}")
    present = sorted(path.stem for path in folder.glob("*.txt"))
    missing = [code for code in languages if code not in present]
    if missing:
        raise DataError(
            f"{folder} has no sentences in {', '.join(missing)}",
            found=", ".join(path + ".txt" for path in present[:20]) or "no text files",
            remedy=f"add {missing[0]}.txt, or leave the language out with --languages; the layout is {LAYOUT}",
        )
    lines: dict[str, list[str]] = {}
    files: dict[str, str] = {}
    for code in languages:
        path = folder / f"{code}.txt"
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text", found=str(error), remedy="save it as UTF-8") from error
        # only line feeds end a line: other separators of Unicode occur inside sentences
        lines[code] = [line.strip() for line in text.removesuffix("\n").split("\n")]
        files[path.name] = hashlib.sha256(content).hexdigest()
    lengths = {code: len(found) for code, found in lines.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"the files of {folder} have different numbers of lines",
            found=", ".join(f"{code} {length:,}" for code, length in lengths.items()),
            remedy="line n of each file must be a translation of line n of the others",
        )
    kept = [n for n, row in enumerate(zip(*lines.values(), strict=True)) if all(row)]
    if not kept:
        raise DataError(f"{folder} has no line that holds text in every language", remedy=f"the layout is {LAYOUT}")
    width = len(kept)
    return TaskData(
        name=folder.resolve().name,
        languages=tuple(languages),
        queries=tuple(Query(f"{code}:{n}", code, str(n), lines[code][n]) for code in languages for n in kept),
        candidates=tuple(Candidate(f"{code}:{n}", code, lines[code][n]) for code in languages for n in kept),
        relevants=tuple(
            tuple(range(place, width * len(languages), width)) for _ in languages for place in range(width)
        ),
        articles=tuple(range(width)) * len(languages),
        files=files,
    )
