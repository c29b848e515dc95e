"""A task as one BEIR data set, for other tools: its whole pool, every language in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import write_text
from xqr_bench.core.types import LENIENT, PARAGRAPH, TaskData
from xqr_bench.tasks.readers.judged import OWN
from xqr_bench.tasks.spec import TaskSpec


def write_beir(spec: TaskSpec, data: TaskData, folder: Path) -> list[Path]:
    """Write `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`, and the task file that reads them back.

    Ids are those of the task (`de:...`), each there once, so that any tool that reads BEIR ranks the whole pool for
    every query: the multilingual setting. `lang` tells the language; what BEIR has no place for stands in
    `metadata.xqr_bench`. Titles of clusters and the contexts of candidates are not written.

    Args:
        spec: its task file.
        data: all of it.
        folder: made where it is not there.

    Returns:
        The files.

    Raises:
        UsageError: a file is there already.
        XqrBenchError: the folder cannot be written.
    """
    texts = {
        "corpus.jsonl": _json_lines(_candidates(data)),
        "queries.jsonl": _json_lines(_queries(data)),
        "qrels/test.tsv": "".join(["query-id\tcorpus-id\tscore\n", *_judgements(data)]),
        f"{spec.name}-beir.toml": _task_file(spec, data),
    }
    paths = {folder / name: text for name, text in texts.items()}
    if there := [path for path in paths if path.exists()]:
        raise UsageError(f"{there[0]} is there already", remedy="name another folder, or remove it first")
    for path, text in paths.items():
        write_text(path, text)
    return list(paths)


def _json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _local(code: str, name: str) -> str:
    """An id, group or cluster as it is called within its language."""
    return name.removeprefix(f"{code}:")


def _row(key: str, text: str, language: str, facts: Mapping[str, object]) -> dict[str, Any]:
    kept = {name: value for name, value in facts.items() if value not in ("", None)}
    return {"_id": key, "title": "", "text": text, "lang": language, "metadata": {OWN: kept}}


def _candidates(data: TaskData) -> Iterator[dict[str, Any]]:
    for one in data.candidates:
        facts = {name: _local(one.language, getattr(one, name)) for name in ("id", "group", "cluster")}
        yield _row(one.id, one.text, one.language, facts)


def _queries(data: TaskData) -> Iterator[dict[str, Any]]:
    for row, query in enumerate(data.queries):
        echoes = None if data.echoes is None else [data.candidates[index].id for index in data.echoes[row]]
        facts = {"question": query.question, "echoes": echoes}
        yield _row(query.id, query.text, query.language, facts)


def _judgements(data: TaskData) -> Iterator[str]:
    gains = data.row_gains.tolist()
    for row, query in enumerate(data.queries):
        of_query = gains[data.offsets[row] : data.offsets[row + 1]]
        for index, gain in zip(data.relevants[row], of_query, strict=True):
            yield f"{query.id}\t{data.candidates[index].id}\t{gain:.17g}\n"
        for index in data.irrelevant[row] if data.irrelevant is not None else ():
            yield f"{query.id}\t{data.candidates[index].id}\t0\n"


def _task_file(spec: TaskSpec, data: TaskData) -> str:
    lacking = set() if data.echoes is not None else {LENIENT}
    if not all(one.group for one in data.candidates):
        lacking.add(PARAGRAPH)
    keys: dict[str, object] = {
        "name": f"{spec.name}-beir",
        "title": f"{spec.title or spec.name}, in the form of BEIR",
        "format": "beir",
        "languages": list(data.query_languages),
        "candidate_languages": list(data.languages),
        "parallel": spec.parallel,
        "settings": list(spec.settings),
        "metrics": list(spec.metrics),
        "relevance": [rule for rule in spec.relevance if rule not in lacking],
        "groups": dict(spec.groups) if isinstance(spec.groups, Mapping) else list(spec.groups),
        "citation": spec.citation,
    }
    if spec.relevant_from is not None:
        keys["relevant_from"] = spec.relevant_from
    if spec.licence is not None:
        keys["licence"] = {"name": spec.licence.name, "url": spec.licence.url}
    files = (("corpus", "corpus.jsonl"), ("queries", "queries.jsonl"), ("qrels", "qrels/test.tsv"))
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items()]
    return "\n".join([*lines, "", "[files.all]", *(f'{part} = {{ path = "{path}" }}' for part, path in files), ""])


def _toml(value: object) -> str:
    """A text, a truth value, a list or a table of texts in TOML; a JSON string is one of its basic strings."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
