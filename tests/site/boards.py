"""A leaderboard of real small runs, and rows that wish the reader ill."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xqr_bench import evaluate
from xqr_bench.board.model import (
    AttestationSummary,
    Bias,
    GroupFacts,
    LanguageFacts,
    Leaderboard,
    MetricFacts,
    PublishedRow,
    Refused,
    Row,
    SettingFigures,
    Source,
    TaskFacts,
)
from xqr_bench.board.row import TESTS, make_row, standings
from xqr_bench.core.languages import get_group, language
from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Figure
from xqr_bench.record import Record
from xqr_bench.record.exposure import OURS

SCRIPT = "<script>alert(1)</script>"
CLOSING = "</script><img src=x onerror=alert(2)>&lt;img src=y onerror=alert(3)&gt;"
ARABIC = "نموذج عربي (v2)"
CHINESE = "多语言检索模型"
TURNED = "evil\u202emodel\u2066"
HOSTILE = (SCRIPT, CLOSING, ARABIC, CHINESE, TURNED)
BAD_URL = "javascript:alert(4)"

_PAYLOADS = (
    *(
        "<script>alert(1)</script>",
        "<ScRiPt src=//x.example></sCrIpT>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
    ),
    *(
        "<iframe srcdoc='<script>parent.alert(1)</script>'>",
        "<body onload=alert(1)>",
        "<a href=javascript:alert(1)>x</a>",
    ),
    *(
        "<math><mtext><img src=x onerror=alert(1)>",
        "javascript:alert(1)//",
        "{{constructor.constructor('alert(1)')()}}",
    ),
    *(
        "${alert(1)}",
        "';alert(1);'",
        "\\u003cscript\\u003ealert(1)",
        "&lt;img src=x onerror=alert(1)&gt;",
        "<!--<script>",
    ),
    *("<style>@import'//x.example'</style>", "<meta http-equiv=refresh content='0;url=//x.example'>"),
)
_AROUND = ("{}", "\"'>{}", "</script>{}", "</title></textarea></select>{}", "-->]]>{}", "`{}`")
HOSTILE_102 = tuple(around.format(payload) for payload in _PAYLOADS for around in _AROUND)


def hostile_board() -> Leaderboard:
    """A row for each of 102 names that would run a script where a page took it for markup or code."""
    board = small_board()
    scores = {name: {**figures.model_dump(), "by_language_pair": {}} for name, figures in board.rows[0].scores.items()}
    rows = [
        _changed(board.rows[0], scores=scores, id=f"{place}", model=name, folder=f"x__{place}", version=name)
        for place, name in enumerate(HOSTILE_102)
    ]
    return board.model_copy(update={"rows": rows, "published": [], "refused": []})


@cache
def real_records() -> tuple[Record, ...]:
    """Real runs on the demonstration task, two of them on a part of it."""
    whole = [evaluate("char-ngrams", "mini"), evaluate("bm25", "mini")]
    return (*whole, evaluate("random", "mini"), evaluate("oracle", "mini"))


@cache
def small_board() -> Leaderboard:
    """Real rows on the task mini, and on its copy small with fewer; every kind, status and protocol."""
    records = real_records()
    rows = [_row(record, record.model.name, f"r{place}", "mini") for place, record in enumerate(records)]
    contest = {row.id: record.ranks for row, record in zip(rows, records, strict=True) if row.contest}
    for name, found in standings(contest, list(SETTINGS)).items():
        next(row for row in rows if row.id == name).standing = found
    rows += [_row(record, record.model.name, f"r{place}", "small") for place, record in enumerate(records[:2])]
    ours = {"kind": "baseline", "exposure": OURS.model_dump(), "exposure_class": "unexposed"}
    rows = [_changed(row, **ours) if row.model == "char-ngrams" else row for row in rows]
    rows[0] = _changed(
        rows[0],
        status="reproduced",
        attestation=AttestationSummary(
            by="the lab", date="2026-01-02", relevants=2904, share_moved=0.0, max_score_difference=1e-7, file="a.json"
        ),
    )
    for place, name in enumerate(HOSTILE):
        rows.append(
            _changed(
                _row(records[0], name, f"<b>{place}</b>", "mini", folder=f"x__{name}"[:80]),
                warnings=[f"warning {SCRIPT}"],
                exposure={"level": "unknown", "note": SCRIPT, "declared_by": "submitter"} if place == 0 else {},
                training={"data": CLOSING, "steps": 12} if place == 1 else None,
            )
        )
    rows[-1].protocol.name = "paragraph context"
    rows[-2].scores["multilingual"].macro["map"] = Figure(value=None, n=264, undefined_reason=f"cut {SCRIPT}")
    facts = _task(records[0])
    names = dict.fromkeys(name for row in rows for found in row.scores.values() for name in found.macro)
    names |= dict.fromkeys(name for row in rows for name in row.bias.macro)
    return Leaderboard(
        tasks={"mini": facts, "small": facts.model_copy(update={"title": "small"})},
        metrics={
            name: MetricFacts(kind=found.kind, summary=found.summary, settings=list(found.settings))
            for name in names
            for found in (parse_metric(name),)
        },
        tests=TESTS,
        rows=rows,
        published=[_published("A paper's model", "x-x", "https://example.org/paper"), _published(SCRIPT, "y", BAD_URL)],
        refused=[Refused(path=f"a/{SCRIPT}.json", fault="edited score")],
    )


def _row(record: Record, name: str, version: str, task: str, folder: str | None = None) -> Row:
    made = make_row(Path("board") / (folder or f"org__{name}") / version / f"{task}.json", Path("board"), record)
    # the folder's own names are safe; these need not be
    return _changed(made, model=name, task=task, folder=folder or f"org__{name}", version=version)


def _changed(row: Row, **fields: Any) -> Row:
    return Row.model_validate({**row.model_dump(), **fields})


def _published(model: str, variant: str, url: str) -> PublishedRow:
    values = {"monolingual": 0.79, "cross-lingual": 0.67, "multilingual": 0.55}
    return PublishedRow(
        id=f"published/{model}/{variant}",
        task="mini",
        model=model,
        variant=variant,
        source=Source(citation="Somebody et al. 2024", url=url),
        scores={
            name: SettingFigures(
                macro={"map": Figure(value=value, n=0)}, by_query_language={"ar": {"map": Figure(value=value, n=0)}}
            )
            for name, value in values.items()
        },
        bias=Bias(macro={"rank_distance": Figure(value=300.0, n=0)}),
        notes=["a note"],
    )


def _task(record: Record) -> TaskFacts:
    info = record.task
    return TaskFacts(
        title=info.title,
        description="a demonstration",
        settings=info.settings,
        metrics=info.metrics,
        languages=[
            LanguageFacts(
                code=code,
                name=language(code).name,
                script=language(code).script,
                right_to_left=language(code).right_to_left,
                resource_class=language(code).resource_class,
                queries=info.counts[code].queries,
                candidates=info.counts[code].candidates,
            )
            for code in info.languages
        ],
        groups={
            name: GroupFacts(description=get_group(name).description, languages=list(group.languages))
            for name, group in info.groups.items()
        },
        n_questions=info.n_questions,
        n_articles=info.n_articles,
        n_queries=264,
        n_candidates=409,
        n_relevants=2904,
        licence={"name": "CC BY-SA", "url": BAD_URL},
    )
