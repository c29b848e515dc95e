"""The frontier: dominance by the definition, nearest records, the command."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.kit import BOARD, run
from xqr_bench.core.errors import UsageError
from xqr_bench.record import load_record
from xqr_bench.report.frontier import Point, by_rank, frontier_table, nearest, points_of

PATHS = sorted(BOARD.glob("*/*/xquad-r.json"))


def test_a_worked_example() -> None:
    points = [
        Point("strong", 0.80, 0.50, 0.60, 0.1),
        Point("fair", 0.40, 0.30, 0.20, 0.1),
        Point("worse", 0.41, 0.20, 0.20, 0.1),  # fair has more MAP at the same preference
        Point("averse", 0.10, 0.05, 0.05, 0.1),  # below chance is a preference too, but a smaller one
        Point("twin", 0.40, 0.30, 0.20, 0.1),  # equal points do not beat each other
    ]
    leads = dict(by_rank(points))
    assert [leads[point] for point in points] == [True, True, False, True, True]
    assert [nearest(point, points) for point in points] == [points[i] for i in (2, 4, 1, 1, 1)]
    assert nearest(points[0], points[:1]) is None
    table = frontier_table(points, "t")
    assert [row[1] for row in table.rows] == ["strong *", "fair *", "twin *", "worse", "averse *"]
    assert table.rows[0][5:] == ("(4)", "+.3900", "+.3000", "+.4000")
    assert table.rows[3][5:] == ("2", "+.0100", "-.1000", "0")


def test_the_frontier_of_many_points_is_monotone() -> None:
    generator = np.random.default_rng(0)
    points = [Point(str(i), *generator.random(3), 0.0) for i in range(60)]
    leaders = sorted((point for point, leads in by_rank(points) if leads), key=lambda point: point.own_first)
    assert [point.multilingual for point in leaders] == sorted(point.multilingual for point in leaders)
    for point, other in product(points, leaders):
        assert not (point.multilingual > other.multilingual and point.preference < other.preference)


def test_records_and_the_command(tmp_path: Path) -> None:
    points = points_of([load_record(path) for path in PATHS])
    assert len(points) == len(PATHS) >= 5
    assert all(point.chance == pytest.approx(1 / 11) for point in points)
    done = run("plot", *map(str, PATHS), "--kind", "frontier", "-o", str(tmp_path / "f.svg"))
    assert done.code == 0, done.err
    assert "nearest" in done.out
    assert (tmp_path / "f.svg").stat().st_size > 1000
    mixed = [load_record(PATHS[0]), load_record(PATHS[0].with_name("mlqa-r.json"))]
    with pytest.raises(UsageError, match="one task"):
        points_of(mixed)
