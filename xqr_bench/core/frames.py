"""Figures as data frames, in pandas or in polars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from xqr_bench.core.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    import pandas
    import polars

Backend = Literal["pandas", "polars"]
BACKENDS = ("pandas", "polars")


@overload
def data_frame(columns: Mapping[str, Sequence[Any]], backend: Literal["pandas"]) -> pandas.DataFrame: ...
@overload
def data_frame(columns: Mapping[str, Sequence[Any]], backend: Literal["polars"]) -> polars.DataFrame: ...
@overload
def data_frame(columns: Mapping[str, Sequence[Any]], backend: Backend) -> pandas.DataFrame | polars.DataFrame: ...
def data_frame(columns: Mapping[str, Sequence[Any]], backend: Backend) -> pandas.DataFrame | polars.DataFrame:
    """The columns as a data frame.

    Args:
        columns: name -> its values, of one length.
        backend: the library that holds it.

    Raises:
        UsageError: there is no such library, or it is not installed.
    """
    if backend not in BACKENDS:
        raise UnknownNameError("library of data frames", backend, BACKENDS)
    if backend == "pandas":
        import pandas

        return pandas.DataFrame(dict(columns))
    try:
        import polars
    except ImportError:
        raise UsageError(
            "polars is not installed, and a data frame of it was asked for",
            remedy='pip install polars, or leave backend="polars" out for a data frame of pandas',
        ) from None
    as_lists = {name: list(values) for name, values in columns.items()}  # an array of objects is none of texts there
    return polars.DataFrame(as_lists, strict=False)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns; each row has a value for each column, None where it is undefined."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def with_ends(figure: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a figure as a row: its intervals as `interval_low`, `interval_high` and so on, None without one."""
    row: dict[str, Any] = {}
    for name, value in figure:
        if name in ("interval", "article_interval"):
            row |= {f"{name}_{end}": getattr(value, end) if value else None for end in ("low", "high")}
        else:
            row[name] = value
    return row
