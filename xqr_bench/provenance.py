"""Facts of the run that every record carries: code, packages, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from xqr_bench import __version__

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "scikit-learn",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "faiss-cpu",
    "bm25s",
    "pytrec-eval-terrier",
    "pyarrow",
)


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a figure."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_state() -> tuple[str | None, bool | None]:
    """Git commit of the checkout this code runs from, and whether it has uncommitted changes.

    (None, None) when it runs from an installed package.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None, None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def hardware(device: str | None) -> dict[str, Any]:
    """Processor, cores, memory, and the device the encoder ran on."""
    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    if device is not None:
        facts["device"] = device
    return facts


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def python_version() -> str:
    """Version of the interpreter."""
    return sys.version.split()[0]


def versions() -> dict[str, Any]:
    """The fields of a record's provenance that do not depend on the run."""
    commit, dirty = code_state()
    return {
        "code_version": __version__,
        "commit": commit,
        "dirty": dirty,
        "python": python_version(),
        "packages": package_versions(),
    }
