"""The sdist and the wheel made of it hold what the package needs, installed where nothing of the checkout is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.kit import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs the checkout")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both, without anything from a registry."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_all_files_are_in_them(built: Path) -> None:
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "xqr_bench").rglob("*") if path.is_file()}
    there = {name for name in there if "__pycache__" not in name}
    assert {"xqr_bench/py.typed", "xqr_bench/board/facts.json"} <= there
    tasks = {f"xqr_bench/_tasks/{path.name}" for path in (ROOT / "tasks").glob("*.toml")}
    (wheel,) = built.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("xqr_bench/")}
    plans = {f"xqr_bench/studies/ratio/{name}": name for name in ("ratio-study-plan.md", "e5-study-plan.md")}
    assert packed == there | tasks | set(plans)
    for plan, name in plans.items():  # byte for byte: its digest stands in the records
        assert zipfile.ZipFile(wheel).read(plan) == (ROOT / "docs" / name).read_bytes()
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "constraints.txt", *there} <= source


def test_the_wheel_works_where_it_is_installed(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(folder), "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
        timeout=120,
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    # what it depends on stands behind it, as it is here
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    away = tmp_path / "away"
    away.mkdir()
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def printed(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, cwd=away, env=surroundings, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    script = str(folder / "bin" / "xqr-bench")
    where = printed(str(folder / "bin" / "python"), "-c", "import xqr_bench; print(xqr_bench.__file__)")
    assert Path(where.strip()).is_relative_to(packages)
    assert printed(script, "evaluate", "char-ngrams", "--quiet").strip() == "results/char-ngrams/mini.json"
    assert "160 of 160 runs are missing" in printed(script, "sweep", "--output", "study", "--dry-run")
    listed = printed(script, "tasks")
    assert all(path.stem in listed for path in (ROOT / "tasks").glob("*.toml"))
