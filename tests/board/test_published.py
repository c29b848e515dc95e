"""Figures from papers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import BOARD, edit
from xqr_bench.board import facts
from xqr_bench.board.names import Entry, clashes
from xqr_bench.board.submissions import load_published, read_published
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.tasks import list_specs

SHIPPED = BOARD


def test_the_shipped_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "list_specs", list_specs)
    rows = {row.id: row for row in read_published(SHIPPED)[0]}
    assert {row.status for row in rows.values()} == {"published"}
    assert {row.task for row in rows.values()} == {"xquad-r", "mlqa-r"}
    hybrid = rows["published/elmahdy-2024/LaBSE/hybrid/xquad-r"]
    assert hybrid.source.url == "https://arxiv.org/abs/2408.10536"
    multilingual = hybrid.scores["multilingual"]
    assert multilingual.macro["map"].value == 0.6817
    assert multilingual.by_query_language["th"]["map"].value == 0.6372
    assert multilingual.macro["map"].interval is None
    assert hybrid.bias.macro["rank_distance"].value == 221.1
    assert "rank_distance" not in multilingual.macro
    assert hybrid.scores["monolingual"].macro["map"].value == 0.8167
    assert any("average to .8184, not to the printed .8167" in note for note in hybrid.notes)
    assert rows["published/roy-2020/mBERT/x-y/xquad-r"].scores["multilingual"].macro["map"].value == 0.66
    slips = [
        figure
        for path in sorted((SHIPPED / "published").glob("*.json"))
        for row in load_published(path).rows
        for of_metric in row.scores.values()
        for figure in of_metric.values()
        if figure.slip
    ]
    assert len(slips) == 1
    assert read_published(SHIPPED)[1] == []
    assert clashes([], [Entry(row.id, row.model) for row in rows.values()]) == {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    data = {
        "published_version": 1,
        "source": {"citation": "A 2024", "url": "https://example.org"},
        "rows": [
            {
                "model": "m",
                "variant": "v",
                "task": "mini",
                "scores": {"monolingual": {"map": {"value": 0.5, "by_query_language": {"de": 0.4, "en": 0.6}}}},
            }
        ],
    }
    path = tmp_path / "published" / "a.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def figure(data: dict) -> dict:
    return data["rows"][0]["scores"]["monolingual"]["map"]


def bias(data: dict, **values: float) -> None:
    data["rows"][0]["scores"]["multilingual"] = {name: {"value": value} for name, value in values.items()}


BAD = {
    "version": (lambda data: data.update(published_version=2), "published_version"),
    "out of bounds": (lambda data: figure(data).update(value=1.5), "is out of bounds"),
    "mean": (lambda data: figure(data).update(value=0.55), "the mean over languages is not the printed figure"),
    "no slip": (lambda data: figure(data).update(slip="?"), "the mean over languages is the printed figure"),
    "twice": (lambda data: data["rows"].append(data["rows"][0]), "m v mini stands there twice"),
    "setting": (lambda data: data["rows"][0]["scores"].update(other={}), "there is no setting 'other'"),
    "another setting's": (
        lambda data: data["rows"][0]["scores"]["monolingual"].update(rank_distance={"value": 0.9}),
        "rank_distance is not defined in that setting",
    ),
    "a W of 7": (lambda data: bias(data, language_order_w=7.0), "language_order_w is out of bounds"),
    "a share of 40": (lambda data: bias(data, top_right_own=40.0), "top_right_own is out of bounds"),
    "no distance": (lambda data: bias(data, rank_distance=-1.0), "rank_distance is out of bounds"),
    "a distance beyond the pool": (lambda data: bias(data, rank_distance=10**6), "rank_distance is out of bounds"),
    "a variance beyond it": (lambda data: bias(data, rank_variance_raw=1e9), "rank_variance_raw is out of bounds"),
    "no language": (
        lambda data: figure(data).update(by_query_language={"<b>": 0.5}),
        "of languages that the task does not have",
    ),
    "a name unseen": (lambda data: data["rows"][0].update(model="m\u200b"), "cannot be seen"),
    "a name of no file": (lambda data: data["rows"][0].update(model="a/b/c"), "could lead out"),
    "a variant unseen": (lambda data: data["rows"][0].update(variant="\u202ev"), "the variant is empty, or holds"),
    "a variant with a slash": (lambda data: data["rows"][0].update(variant="b/c"), "the variant is empty, or holds"),
    "metric": (
        lambda data: data["rows"][0]["scores"]["monolingual"].update(bliss={"value": 1.0}),
        "no metric named 'bliss'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str, path: Path) -> None:
    load_published(path)
    change, message = BAD[name]
    edit(path, change)
    with pytest.raises(XqrBenchError, match=message):
        load_published(path)


def test_what_a_bias_may_be(path: Path) -> None:
    edit(path, lambda data: bias(data, language_order_w_corrected=-0.01, rank_distance=150.2, rank_variance_raw=1e4))
    assert read_published(path.parent.parent)[1] == []


def test_a_slip_is_explained(path: Path) -> None:
    edit(path, lambda data: figure(data).update(value=0.55, slip="misprint"))
    ((row,), _) = read_published(path.parent.parent)
    assert row.notes == ["monolingual map: misprint"]
