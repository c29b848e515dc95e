"""SparseEncoder, MultiVectorEncoder and code with sparse rows on the leaderboard: checked, and made again."""

from __future__ import annotations

from pathlib import Path

from tests.board.test_fused import made, place
from xqr_bench.board.asked import Rerun, Witness
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import submit, verify
from xqr_bench.board.table import read_leaderboard

SPARSE = """
from scipy.sparse import csr_matrix

class Letters:
    sparse, similarity, revision = True, "dot", "1"

    def encode(self, texts):
        return csr_matrix([[float(text.count(letter)) for letter in "xyzXYZ"] for text in texts])
"""


def test_their_rows_are_encoders_and_made_again(
    sparse_model: Path, late_model: Path, board: Path, tmp_path: Path
) -> None:
    code = tmp_path / "letters.py"
    code.write_text(SPARSE, encoding="utf-8")
    for model in (str(sparse_model), str(late_model), f"{code}:Letters"):
        record = made(model, model)
        path = submit(place(record, tmp_path), board).record
        done = reproduce(path, again=Rerun(model=model), witness=Witness(by="the lab"))
        assert (done.found.identical, done.identity) == (record.ranks.n_relevants, [])
        assert done.written is not None
    assert verify(board).faults == []
    rows = {row.model: row for row in read_leaderboard(board).rows}
    assert {(name, row.kind, row.status) for name, row in rows.items()} == {
        ("tiny-splade", "encoder", "reproduced"),
        ("tiny-late", "encoder", "reproduced"),
        ("Letters", "encoder", "reproduced"),
    }
    assert rows["tiny-late"].reproduce.needs == "the model folder tiny-late"
    assert rows["Letters"].reproduce.needs == "the Python code of letters.py:Letters"
