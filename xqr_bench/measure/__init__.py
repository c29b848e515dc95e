"""Ranks -> values per query, scores, intervals and tests."""
