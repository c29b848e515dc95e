"""How the vectors of a task lie: what explains the figures of bias (docs/geometry.md)."""

from xqr_bench.geometry.panel import Geometry, LanguageGeometry, measure_geometry
from xqr_bench.geometry.run import geometry_of_tasks

__all__ = ["Geometry", "LanguageGeometry", "geometry_of_tasks", "measure_geometry"]
