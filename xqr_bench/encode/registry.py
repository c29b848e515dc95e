"""Encoders that have a name of their own: built in, or brought by an installed package."""

from __future__ import annotations

from typing import Any

from xqr_bench.core.registry import Registry

ENTRY_POINT_GROUP = "xqr_bench.encoders"

# name -> an encoder, a class, or a factory without arguments
ENCODERS: Registry[Any] = Registry("encoder", ENTRY_POINT_GROUP)
