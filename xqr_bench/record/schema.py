"""The JSON Schema of records: `python -m xqr_bench.record.schema > leaderboard/schema.json`."""

from __future__ import annotations

import json

from xqr_bench.record.model import Record


def schema_text() -> str:
    """JSON Schema (draft 2020-12) of a record, as leaderboard/schema.json holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
