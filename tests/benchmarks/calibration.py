"""How often each test rejects true nulls, for real pairs of both tasks, as the table of docs/compare.md. By hand.

XQR_BENCH_DATA=... python -m tests.benchmarks.calibration [trials]
"""

from __future__ import annotations

import sys

from tests.measure.nulls import calibration_rows, with_cut_vectors

COLUMNS = ("question", "article", "sign", "t", "without", "forced", "naive question", "naive article")


def main(trials: int) -> None:
    print("| task | pair | setting |", " | ".join(COLUMNS), "| largest |")
    print("|---|---|---|", "---:|" * (len(COLUMNS) + 1), sep="")
    for task in ("xquad-r", "mlqa-r"):
        for row in calibration_rows(with_cut_vectors(task, ["map"]), trials):
            rates = " | ".join(f"{100 * float(str(row[name])):.1f}" for name in COLUMNS)
            print(f"| {task} | {row['pair']} | {row['setting']} | {rates} | {row['largest']:.1f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4_000)
