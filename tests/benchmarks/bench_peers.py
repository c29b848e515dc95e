"""All 132 settings of XQuAD-R from the same vectors, with xqr-bench and with others, side by side.

    python -m tests.benchmarks.bench_peers [--full] [--tools xqr-bench,mteb,...] [--runs 1]

Needs the extra `bench`. With XQR_BENCH_DATA set (and real vectors beside it) the vectors are MiniLM's; elsewhere they
are random. Each tool runs in a process of its own, from vectors in memory to figures (imports, reading and the
compilation of kernels left out), and the bare matrix product of the same queries runs before and after it in the same
process: the ratio is to the mean of the two. Slow tools get a part of the queries, which the table says, and their
seconds are multiplied up; `--full` gives them all. `difference` is the greatest difference of MAP from xqr-bench's in
any of the settings run, from the same queries.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import peers
from tests.benchmarks.bench_ranks import real, synthetic
from tests.benchmarks.runner import apart, options, peak, timed
from xqr_bench.rank.product import unit_vectors
from xqr_bench.record.provenance import hardware

TOOLS: dict[str, Callable[[peers.Case], Any]] = {
    "xqr-bench": peers.xqr_bench,
    "FAISS flat": peers.faiss_flat,
    "pytrec_eval": peers.pytrec_eval,
    "ranx": peers.ranx,
    "mteb": peers.mteb,
}
PARTS: dict[str, dict[str, int]] = {
    "FAISS flat": {"every": 10},
    "pytrec_eval": {"every": 40},
    "ranx": {"every": 80},
    "mteb": {"only": 1},
}
PACKAGES = ("xqr-bench", "mteb", "pytrec-eval-terrier", "ranx", "faiss-cpu", "numpy", "torch", "numba")


def write_case(path: Path) -> str:
    """Write what all tools read; say what it is."""
    found = real()
    data, queries, candidates = found or synthetic()
    numbers: dict[str, int] = {}
    column = {name: m for m, name in enumerate(data.languages)}
    np.savez(
        path,
        queries=unit_vectors(queries),
        candidates=unit_vectors(candidates),
        languages=np.array(data.languages),
        query_columns=np.array([column[query.language] for query in data.queries]),
        numbers=np.array([numbers.setdefault(query.question, len(numbers)) for query in data.queries]),
        edges=data.edges,
        relevants=np.array(data.relevants),
        ids=np.array([candidate.id for candidate in data.candidates]),
    )
    kind = "MiniLM vectors" if found else "random vectors"
    return f"{len(data.queries):,} queries x {len(data.candidates):,} candidates x {queries.shape[1]}, {kind}"


def one(tool: str, path: Path, part: dict[str, int], out: Path) -> None:
    """Run one tool; called in a process of its own."""
    whole = peers.Case.load(path)
    case = peers.Case.load(path, **part)
    few = peers.Case.load(path, every=200, only=1)
    TOOLS[tool](few)  # imports, compiles
    peers.product(few)
    first, _ = timed(lambda: peers.product(case))
    spent, means = timed(lambda: TOOLS[tool](case))
    last, _ = timed(lambda: peers.product(case))
    facts = {"share": len(case.rows) / len(whole.rows), "product": [first, last], "spent": spent, "peak": peak()}
    np.savez(out.with_suffix(".npz"), means=means, reference=means if tool == "xqr-bench" else peers.xqr_bench(case))
    out.write_text(json.dumps(facts), encoding="utf-8")


def families(means: np.ndarray) -> tuple[float, float, float]:
    """Monolingual, cross-lingual and multilingual MAP: means over the settings that were run."""
    inner, n = means[:, :-1], len(means)
    return tuple(float(np.nanmean(part)) for part in (np.diag(inner), inner[~np.eye(n, dtype=bool)], means[:, -1]))


def row(tool: str, facts: dict[str, Any], means: np.ndarray, reference: np.ndarray) -> list[str]:
    """One line of the table."""
    share = facts["share"]
    wall, cpu = facts["spent"]
    ratio = [
        spent / np.mean(product)
        for spent, product in zip(facts["spent"], zip(*facts["product"], strict=True), strict=True)
    ]
    estimated = "" if share == 1 else f"x {1 / share:.0f}"
    settings = int(np.isfinite(means).sum())
    return [
        tool,
        "all" if share == 1 else f"{share:.1%}, {settings} settings",
        f"{wall / share:,.1f}",
        f"{cpu / share:,.1f}",
        estimated or "measured",
        f"{facts['peak'] / 1e6:,.0f}",
        f"{ratio[0]:.2f}" if ratio[0] < 10 else f"{ratio[0]:,.0f}",
        f"{ratio[1]:.2f}" if ratio[1] < 10 else f"{ratio[1]:,.0f}",
        " / ".join(f"{value:.4f}" for value in families(means)) if share == 1 else "",
        f"{np.nanmax(np.abs(means - reference)):.1e}",
    ]


HEAD = [
    "tool",
    "queries run",
    "wall s",
    "CPU s",
    "how",
    "peak MB",
    "wall / product",
    "CPU / product",
    "MAP mono / cross / multi",
    "difference",
]


def main() -> None:
    given = options(__doc__, full=False, tools=",".join(TOOLS), one=None)
    if given.one:
        tool, path, part, out = json.loads(given.one)
        one(tool, Path(path), part, Path(out))
        return
    tools = given.tools.split(",")
    unknown = [tool for tool in tools if tool not in TOOLS]
    if unknown:
        raise SystemExit(f"no tool {unknown[0]!r}; there are: {', '.join(TOOLS)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.npz"
        facts = hardware(None)
        print(f"{write_case(path)}; {datetime.now(UTC):%Y-%m-%d}")
        machine = f"{facts['processor']}, {facts['cores']} cores, {facts.get('memory_gib')} GiB"
        print(f"{machine}; Python {platform.python_version()}")
        print(", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES))
        print("\n| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), flush=True)
        for tool in tools:
            part = {} if given.full else PARTS.get(tool, {})
            out = Path(folder) / "out.json"
            done = apart("bench_peers", "--one", json.dumps([tool, str(path), part, str(out)]))
            if done.returncode:
                print(f"| {tool} | failed: {(done.stderr.strip().splitlines() or ['?'])[-1]} |", flush=True)
                continue
            arrays = np.load(out.with_suffix(".npz"))
            line = row(tool, json.loads(out.read_text(encoding="utf-8")), arrays["means"], arrays["reference"])
            print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
