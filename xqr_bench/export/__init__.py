"""Records -> other tools' formats."""

from xqr_bench.export.model_card import model_card

__all__ = ["model_card"]
