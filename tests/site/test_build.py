"""The folder that `leaderboard build` writes, and the command."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from tests.kit import contents, every_kill, ran
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site import MorePage, build_site, read_json
from xqr_bench.board.site import html as html_module
from xqr_bench.board.table import leaderboard_text
from xqr_bench.core.errors import XqrBenchError


def test_built_twice_the_bytes_are_the_same(board: Leaderboard, site: Path, tmp_path: Path) -> None:
    build_site(board, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(site)


def test_pages_of_models_that_are_gone_go(board: Leaderboard, tmp_path: Path) -> None:
    build_site(board, tmp_path / "site")
    before = contents(tmp_path / "site")
    build_site(board.model_copy(update={"rows": board.rows[:1]}), tmp_path / "site")
    after = contents(tmp_path / "site")
    assert "models/org__char-ngrams--r0.html" in after
    assert "models/org__random--r2.html" in before
    assert "models/org__random--r2.html" not in after


def test_an_empty_leaderboard_has_a_site(board: Leaderboard, tmp_path: Path) -> None:
    build_site(board.model_copy(update={"rows": [], "published": [], "refused": []}), tmp_path)
    assert "No record has been submitted yet" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_folder_with_other_files_is_left_alone(board: Leaderboard, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(XqrBenchError, match="no site of xqr-bench"):
        build_site(board, tmp_path)
    assert contents(tmp_path) == {"thesis.tex": b"x"}
    with pytest.raises(XqrBenchError, match="not a folder"):
        build_site(board, tmp_path / "thesis.tex")


def test_a_build_that_was_killed_is_repeated(board: Leaderboard, tmp_path: Path) -> None:
    few = {"rows": board.rows[:1], "published": [], "metrics": {"map": board.metrics["map"]}}  # few files
    small, out = board.model_copy(update=few), tmp_path / "site"
    build_site(small, tmp_path / "wanted")
    for _ in every_kill(out, lambda: shutil.rmtree(out, ignore_errors=True), lambda: build_site(small, out)):
        build_site(small, out)
        assert contents(out) == contents(tmp_path / "wanted")


def test_a_build_that_met_a_full_disk_is_repeated(
    board: Leaderboard, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        write = Path.write_text

        def full(path: Path, text: str, **more: object) -> int:
            if "compare" in path.name:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(path, text, **more)

        patch.setattr(Path, "write_text", full)
        with pytest.raises(XqrBenchError, match="No space left on device"):
            build_site(board, tmp_path / "out")
    build_site(board, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(site)


def test_a_listing_cannot_name_files_elsewhere(board: Leaderboard, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site-files.txt").write_text(f"../kept\n{tmp_path}/kept\n")
    build_site(board, tmp_path / "site")
    assert (tmp_path / "kept").exists()


def test_a_further_page_appears_with_its_data(board: Leaderboard, tmp_path: Path) -> None:
    page = MorePage("ratio.html", "Batch ratio", lambda common: html_module.render("base.html.jinja", **common))
    build_site(board, tmp_path / "with", [page])
    build_site(board, tmp_path / "without")
    link = '<a href="ratio.html">Batch ratio</a>'
    assert link in (tmp_path / "with" / "index.html").read_text(encoding="utf-8")
    assert 'aria-current="page">Batch ratio' in (tmp_path / "with" / "ratio.html").read_text(encoding="utf-8")
    assert link not in (tmp_path / "without" / "index.html").read_text(encoding="utf-8")
    assert not (tmp_path / "without" / "ratio.html").exists()


def test_from_a_json_file(board: Leaderboard, site: Path, tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text(leaderboard_text(board), encoding="utf-8")
    done = ran("leaderboard", "build", "--json", str(tmp_path / "board.json"), "--out", str(tmp_path / "site"))
    assert f"open {tmp_path / 'site' / 'index.html'}" in done.out + done.err
    said = b" Its figures come from a JSON file and were not compared with any ranks."
    made = contents(tmp_path / "site")
    assert all((said in page) == name.endswith(".html") for name, page in made.items())
    assert {name: page.replace(said, b"") for name, page in made.items()} == contents(site)


def test_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "leaderboard").mkdir()
    folders = ("--leaderboard", str(tmp_path / "leaderboard"), "--out", str(tmp_path / "site"))
    done = ran("leaderboard", "build", *folders, "--quiet")
    assert done.out.strip() == str(tmp_path / "site" / "index.html")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{}", "is no leaderboard JSON"), ("[", "is no leaderboard JSON"), (None, "cannot read")],
)
def test_other_files_are_refused(text: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(XqrBenchError, match=problem):
        read_json(path)


def test_another_version_is_refused(board: Leaderboard, tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    path.write_text(leaderboard_text(board.model_copy(update={"leaderboard_version": 99})), encoding="utf-8")
    with pytest.raises(XqrBenchError, match="version 99"):
        read_json(path)


def test_without_itables_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    html_module.datatables.cache_clear()
    monkeypatch.setattr(html_module, "find_spec", lambda name: None)
    with pytest.raises(XqrBenchError, match=r"pip install 'xqr-bench\[site\]'"):
        html_module.datatables()
