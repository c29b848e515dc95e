"""What stands around the code: the citation, how to contribute, templates, the workflow, completion in a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.shell_completion import BashComplete

from tests.kit import ROOT, page_blocks, page_text, ran, run_blocks
from xqr_bench import __version__
from xqr_bench.cli.main import COMMANDS, cli

pytestmark = pytest.mark.skipif(not (ROOT / ".ci" / "run").is_file(), reason="needs the checkout")


def test_the_citation() -> None:
    """Its form was checked with cffconvert, whose jsonschema is older than ours; this holds what changes."""
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert said["cff-version"] == "1.2.0"
    assert said["version"] == project["version"] == __version__
    assert said["license"] == project["license"]
    assert said["authors"] == project["authors"]
    assert said["title"].startswith(f"{project['name']}: ")
    assert {"message", "title", "authors"} <= set(said)
    assert [one["doi"] for one in said["references"]] == ["10.48550/arXiv.2408.10536", "10.48550/arXiv.2004.05484"]
    for one in said["references"]:
        assert one["url"] == f"https://arxiv.org/abs/{one['doi'].partition('arXiv.')[2]}"
        assert all(set(author) == {"family-names", "given-names"} for author in one["authors"])


def test_the_workflow_is_what_runs_here() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["run"]["steps"][-1] == {"run": ".ci/run"}
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    pythons = workflow["jobs"]["run"]["strategy"]["matrix"]["python"]
    assert needs == f">={pythons[0]}"
    assert all(isinstance(version, str) for version in pythons)  # 3.10 is another number
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_forms_of_issues(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids)
    for part in form["body"]:
        assert part["type"] in ("input", "textarea", "markdown", "dropdown", "checkboxes")
        assert part["attributes"]["label"]


def test_contributing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its recipes work, in their order; that of a record, on real data, is run where docs/start.md is."""
    monkeypatch.chdir(tmp_path)
    ((_, data),) = page_blocks("tasks.md", "json")
    for code in ("de", "en"):
        (tmp_path / f"{code}.json").write_text(data, encoding="utf-8")
    recipes, board = page_text("../CONTRIBUTING.md").split("## Put a record")
    (tmp_path / "recipes.md").write_text(recipes, encoding="utf-8")
    run_blocks(str(tmp_path / "recipes.md"))
    assert (tmp_path / "results" / "char-ngrams" / "my-task.json").is_file()
    commands = re.findall(r"^xqr-bench .*$", board, re.MULTILINE)
    assert len(commands) == 3
    assert [command for command in commands if command not in page_text("start.md").splitlines()] == []
    for _, block in page_blocks("../CONTRIBUTING.md", "console"):
        for path in re.findall(r"(?<= )(?:tests/\S+|\.ci/\S+)", block):
            assert (ROOT / path).exists()


@pytest.mark.parametrize("page", ["../CONTRIBUTING.md", "../SECURITY.md", "../.github/PULL_REQUEST_TEMPLATE.md"])
def test_links_and_rooms(page: str) -> None:
    text = page_text(page)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        path = (ROOT / "docs" / page).resolve().parent / target if target else ROOT / "docs" / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in headings}, anchor
    for path in re.findall(r"`((?:xqr_bench|tests)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_contributing_names_the_rooms_in_their_order() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (sentence,) = re.findall(r"One way through it: (.*?)\.\s", page_text("../CONTRIBUTING.md"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(contracts[0]["layers"])


def test_the_roadmap_is_for_users() -> None:
    text = page_text("roadmap.md").lower()
    assert [word for word in ("session", "agent", "helper", "tracker", "#2") if word in text] == []


# Completion in a shell.


def test_the_lines_that_shells_read(tmp_path: Path) -> None:
    lines = re.findall(r"(_XQR_BENCH_COMPLETE)=(\w+)_source xqr-bench", page_text("commands.md"))
    assert [shell for _, shell in lines] == ["bash", "zsh", "fish"]
    script = Path(sys.executable).with_name("xqr-bench")
    if not script.exists():
        pytest.skip("the script is not installed")
    for variable, shell in lines:
        done = subprocess.run(
            [str(script)], env={**os.environ, variable: f"{shell}_source"}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert f"_XQR_BENCH_COMPLETE={shell}_complete" in done.stdout


def test_completing_imports_no_command_that_is_not_named() -> None:
    code = (
        "import sys\n"
        "from xqr_bench.cli.main import cli\n"
        "from click.shell_completion import BashComplete\n"
        "found = BashComplete(cli, {}, 'xqr-bench', '_XQR_BENCH_COMPLETE').get_completions([], '')\n"
        "loaded = [name for name in sys.modules if name.startswith('xqr_bench.cli.')]\n"
        "print(len(found), sorted(loaded), 'numpy' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == f"{len(COMMANDS)} ['xqr_bench.cli.main', 'xqr_bench.cli.printing'] False\n"


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [([], "eva", {"evaluate"}), (["leaderboard"], "ver", {"verify"}), (["compare"], "--adj", {"--adjust"})],
)
def test_completions(words: list[str], incomplete: str, found: set[str]) -> None:
    complete = BashComplete(cli, {}, "xqr-bench", "_XQR_BENCH_COMPLETE")
    assert {item.value for item in complete.get_completions(words, incomplete)} == found


def test_help_is_still_the_table() -> None:
    assert all(line in ran("--help").out for line in COMMANDS)
