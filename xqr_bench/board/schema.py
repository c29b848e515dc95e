"""The JSON Schema of the leaderboard JSON: `python -m xqr_bench.board.schema > leaderboard/leaderboard.schema.json`."""

from __future__ import annotations

import json

from xqr_bench.board.model import Leaderboard


def schema_text() -> str:
    """JSON Schema (draft 2020-12), as leaderboard/leaderboard.schema.json holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Leaderboard.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
