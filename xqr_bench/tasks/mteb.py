"""Tasks as mteb has them, `AbsTaskRetrieval`: `mteb.evaluate` runs them, and encoders of mteb are told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.languages import long_code, table
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS, Candidate, Query, TaskData
from xqr_bench.tasks.find import resolve_task
from xqr_bench.tasks.load import Selection
from xqr_bench.tasks.spec import TaskSpec

PREFIX = "XqrBench"
SPLIT = "test"
MAIN_SCORE = "ndcg_at_10"
"""That of mteb's own retrieval tasks."""


def the_library() -> Any:
    """Import mteb, which takes seconds.

    Raises:
        UsageError: the library is not installed.
    """
    try:
        import mteb
    except ModuleNotFoundError as error:
        if error.name not in ("mteb", "polars"):
            raise
        raise UsageError(
            "mteb is not installed", found=str(error), remedy="pip install 'xqr-bench[mteb]', or mteb 2.26 or newer"
        ) from None
    return mteb


def library_version() -> str:
    """`mteb VERSION`, as it is installed."""
    return f"mteb {metadata.version('mteb')}"


def task_name(task: str, setting: str) -> str:
    """What a setting of a task is called in mteb."""
    return f"{PREFIX}-{task}-{setting}"


def data_revision(revision: str | None, files: Mapping[str, str]) -> str:
    """What mteb calls the revision of the data: that of their source, else a digest over those of the files.

    Args:
        revision: of the task file; None: it has none.
        files: file -> SHA-256.
    """
    if revision:
        return revision
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def _class(name: str, methods: Mapping[str, Any] | None = None, **facts: Any) -> Any:
    """A class of mteb's, which finds the prompt of a task by the name in the metadata of its class."""
    the_library()
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    of_task = TaskMetadata(
        name=name,
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[SPLIT],
        main_score=MAIN_SCORE,
        **facts,
    )
    return type("XqrBenchTask", (AbsTaskRetrieval,), {"metadata": of_task, "__module__": __name__, **(methods or {})})


@cache
def any_task() -> Any:
    """The class whose metadata encoders are told: a retrieval task of every language, the same for all tasks.

    So a text has one vector whatever task it is of. No model of mteb's has prompts for this very task: it has those of
    retrieval, or the instruction that mteb has for retrieval.
    """
    return _class(
        PREFIX,
        description="Retrieval across languages, as xqr-bench has it.",
        dataset={"path": "xqr-bench/any", "revision": "1"},
        eval_langs=[long_code(code) for code in table()],
    )


def described(
    task: str,
    setting: str,
    subsets: Mapping[str, Sequence[str]],
    revision: str,
    methods: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Any:
    """The class of a setting of a task.

    Args:
        task: its name.
        setting: one of SETTINGS.
        subsets: subset -> the languages in it, our codes.
        revision: of the data (`data_revision`).
        methods: of the class.
        facts: more fields of its metadata, `description` among them.
    """
    return _class(
        task_name(task, setting),
        methods,
        dataset={"path": f"xqr-bench/{task}", "revision": revision},
        eval_langs={name: [long_code(code) for code in codes] for name, codes in subsets.items()},
        **facts,
    )


def mteb_tasks(
    task: str | Path | TaskSpec, *, settings: Sequence[str] | None = None, select: Selection | None = None
) -> list[Any]:
    """A task of ours as tasks of mteb, one for each setting, for `mteb.evaluate(model, mteb_tasks("xquad-r"))`.

    Subsets are called as in our records: `de` of the monolingual and the multilingual setting (a query language),
    `de>th` of the cross-lingual one (queries in German, candidates in Thai). Nothing is downloaded but the data, where
    they are not there.

    Args:
        task: a name, the path of a task file, or a spec.
        settings: those wanted, of monolingual, cross-lingual and multilingual; default: all of the task.
        select: a part of the task, which then has `-part` behind its name; default: all.

    Returns:
        `AbsTaskRetrieval` objects.

    Raises:
        UsageError: mteb is not installed; its measures have no place for the gains of the task.
        XqrBenchError: the task or its data cannot be read; there is no such setting.
    """
    spec = resolve_task(task)
    for name in settings or ():
        if name not in SETTINGS:
            raise UnknownNameError("setting", name, SETTINGS)
    chosen = [name for name in spec.settings if settings is None or name in settings]
    if not chosen:
        raise UsageError(f"{spec.name} has none of these settings", remedy=f"name {', '.join(spec.settings)}")
    data = (select or Selection()).load(spec)
    if data.relevant_from or (data.row_gains != data.row_gains.astype(int)).any():
        raise UsageError(
            f"{spec.name} cannot be a task of mteb, whose measures know whole gains, and no least gain of a relevant",
            remedy=f"evaluate it here: xqr-bench evaluate MODEL --task {spec.name}",
        )
    facts = {
        "description": " ".join((spec.description or spec.title or spec.name).split()),
        "bibtex_citation": spec.citation or "",
        "license": (spec.licence.url or None) if spec.licence is not None else None,
    }
    name = f"{spec.name}-part" if data.partial else spec.name
    revision, corpora = data_revision(spec.revision, data.files), dict[str | None, Any]()
    made = []
    for setting in chosen:
        subsets = subsets_of(data, setting)
        languages = {subset: one.languages for subset, one in subsets.items()}
        methods = {"load_data": _loading(data, subsets, corpora)}
        made.append(described(name, setting, languages, revision, methods, **facts)())
    return made


@dataclass
class Subset:
    """A subset of a setting: a query language, and a pool.

    Attributes:
        languages: of its queries, and of the candidates that they have relevants among.
        pool: the language of the pool; None: all of them.
        queries: the queries that have a relevant in it, by their indices, ascending.
        relevants: query id -> candidate id -> gain.
    """

    languages: list[str]
    pool: str | None
    queries: list[int] = field(default_factory=list)
    relevants: dict[str, dict[str, int]] = field(default_factory=dict)


def subsets_of(data: TaskData, setting: str) -> dict[str, Subset]:
    """The subsets of a setting, by name: those in which a query has a relevant."""
    made: dict[str, Subset] = {}
    gains, columns = data.row_gains.tolist(), data.candidate_columns[data.positions].tolist()
    for row, query in enumerate(data.queries):
        for at in range(*data.offsets[row : row + 2].tolist()):
            language = data.languages[columns[at]]
            if setting != MULTILINGUAL and (language == query.language) != (setting == MONOLINGUAL):
                continue
            name = f"{query.language}>{language}" if setting == CROSS_LINGUAL else query.language
            if name not in made:
                made[name] = Subset([query.language], None if setting == MULTILINGUAL else language)
            subset = made[name]
            if language not in subset.languages:
                subset.languages.append(language)
            if query.id not in subset.relevants:
                subset.queries.append(row)
            candidate = data.candidates[data.positions[at]].id
            subset.relevants.setdefault(query.id, {})[candidate] = int(gains[at])
    return made


def _loading(data: TaskData, subsets: Mapping[str, Subset], corpora: dict[str | None, Any]) -> Any:
    """The `load_data` of a task, which makes data sets of these subsets; `corpora` keeps those of the pools."""

    def load_data(self: Any, num_proc: int | None = None, **_: Any) -> None:
        from datasets import Dataset

        def rows(items: Sequence[Query | Candidate]) -> Any:
            return Dataset.from_dict({"id": [item.id for item in items], "text": [item.text for item in items]})

        self.dataset = {}
        for name, subset in subsets.items():
            if subset.pool not in corpora:
                pool = [one for one in data.candidates if subset.pool in (None, one.language)]
                corpora[subset.pool] = rows(pool)
            self.dataset[name] = {
                SPLIT: {
                    "corpus": corpora[subset.pool],
                    "queries": rows([data.queries[row] for row in subset.queries]),
                    "relevant_docs": {query: dict(gains) for query, gains in subset.relevants.items()},
                    "top_ranked": None,
                }
            }
        self.data_loaded = True

    return load_data
