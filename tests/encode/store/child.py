"""A run in a process of its own, to be killed: python -m tests.encode.store.child STORE OUT ENCODER FIRST LAST.

Prints a line when the encoding begins, and saves the vectors at the end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.encode.store.conftest import SHARD, bound, task_of
from xqr_bench.encode import VectorStore, embed_tasks
from xqr_bench.encode.bound import Lanes


def main() -> None:
    folder, out, encoder, first, last = sys.argv[1:]
    store = VectorStore(Path(folder), shard_texts=SHARD)
    task = task_of(int(first), int(last))
    loaded: Any = bound(encoder)
    loaded.lanes = Lanes(int(os.environ.get("XQR_TOY_LANES", 1)))
    print("begins", flush=True)
    found = embed_tasks(loaded, [task], store=store)["toy"]
    np.savez(out, queries=found.queries, candidates=found.candidates, stored=found.stored_texts)


if __name__ == "__main__":
    main()
