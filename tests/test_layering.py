"""The house: a room imports only rooms above it, and there are no circles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "xqr_bench"
# Top to bottom, as in docs/design.md: each may import only what stands above it (and itself).
ROOMS = [
    "core",
    "tasks",
    "encode",
    "rank",
    "measure",
    "record",
    "analysis",
    "evaluation",
    "report",
    "board",
    "train",
    "studies",
    "cli",
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Modules of the package that `path` imports, wherever in the file the import stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("xqr_bench.")} - {"xqr_bench.__version__"}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(module_name(path))
    if room is None or room == "__main__":
        return  # the package's own faces
    assert room in ROOMS, f"{path}: the room {room!r} is not in the plan"
    below = {name for name in imports(path) if ROOMS.index(room_of(name) or "") > ROOMS.index(room)}
    assert not below, f"{module_name(path)} imports from below: {sorted(below)}"


def test_no_circles() -> None:
    names = {module_name(path) for path in MODULES}
    graph = {module_name(path): imports(path) & names - {module_name(path)} for path in MODULES}
    graph.pop("xqr_bench")
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for target in graph.get(name, ()):
            # a module of a package imports the package's face implicitly, never the other way round
            if not name.startswith(target + "."):
                visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_a_study_is_a_wing_of_its_own() -> None:
    """Only its commands and the leaderboard's import it, and only when they run."""
    outside = [path for path in MODULES if room_of(module_name(path)) != "studies"]
    wing = {path: [name for name in imports(path) if name.startswith("xqr_bench.studies")] for path in outside}
    importing = {module_name(path) for path, names in wing.items() if names}
    assert importing == {f"xqr_bench.cli.{name}" for name in ("leaderboard", "report", "sweep")}
    for path, names in wing.items():
        # cli.sweep has its types at the top, for the type checker alone
        assert not set(names) & imports(path, top_level_only=True), path
