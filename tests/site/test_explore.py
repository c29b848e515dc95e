"""The page of single questions: what its files hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.board.conftest import mini_board  # noqa: F401
from tests.kit import contents, ran, run
from tests.site.explored import MODELS, NOT_KEPT, built, loaded, make_folder
from xqr_bench.board.site import explore
from xqr_bench.board.site.explore import explorer, may_be_shown, texts_at_hand
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import DataError, XqrBenchError
from xqr_bench.core.observe import Observer
from xqr_bench.record import Result, load_record
from xqr_bench.tasks import load_spec, load_task
from xqr_bench.tasks.spec import Licence


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("questions"))


@pytest.fixture(scope="module")
def records(board: Path) -> dict[str, Result]:
    paths = {model: next((board / model).glob("*/mini.json")) for model in MODELS}
    return {model: load_record(path, ranks=True, whole=False) for model, path in paths.items()}


@pytest.fixture(scope="module")
def bare(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(board, tmp_path_factory.mktemp("bare") / "site", texts=False)


@pytest.fixture(scope="module")
def told(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(board, tmp_path_factory.mktemp("told") / "site", texts=True)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "_SLICE", 1)


def candidates_of(site: Path) -> list[list[str]]:
    files = sorted((site / "explore" / "mini").glob("candidates-*.js"), key=lambda path: int(path.stem.split("-")[1]))
    assert len(files) > 1
    return [one for path in files for one in loaded(path)]


def models_of(site: Path) -> list[str]:
    text = re.search(r'id="data">(.*?)</script>', (site / "explore.html").read_text(encoding="utf-8"))[1]  # type: ignore[index]
    assert "explored" in text
    return list(re.findall(r'\[null,"([\w-]+)"', text))


def test_files_hold_the_ranks_and_the_best(
    board: Path, records: dict[str, Result], small_files: None, tmp_path: Path
) -> None:
    """Of every question, every row and every relevant; each question has a file here."""
    site = built(board, tmp_path / "site", texts=False)
    index, models = loaded(site / "explore" / "mini.js"), models_of(site)
    names = [name for name, *_ in candidates_of(site)]
    assert len(set(names)) == len(names)
    assert index["starts"] == list(range(24))
    assert sorted(set(index["questions"])) == sorted(set(records["bm25"].ranks.question_ids))
    seen = 0
    for at, question in enumerate(index["questions"]):
        (found,) = loaded(site / "explore" / "mini" / f"{at}.js")
        for entry, (pool, own, tops) in zip(index["entries"], found["rows"], strict=True):
            record = records[models[entry]]
            ranks = record.ranks
            assert (tops is None) == (models[entry] == NOT_KEPT)
            for n, language in enumerate(found["languages"]):
                query = ranks.query_ids.index(f"{language}:{question}")
                rows = np.flatnonzero(ranks.row_queries == query)
                ids = [names[one] for one in found["relevants"][n]]
                assert ids == [ranks.relevant_ids[row] for row in rows]
                assert index["articles"][at] == ranks.articles[query]
                for row, of_pool, of_own in zip(rows, pool[n], own[n], strict=True):
                    gt, eq, own_gt, own_eq = (int(counts[row]) for counts in ranks.counts)
                    assert of_pool / 2 == np.mean(np.arange(gt, gt + eq) + 1)
                    assert of_own / 2 == np.mean(np.arange(own_gt, own_gt + own_eq) + 1)
                    seen += 1
                if tops is not None:
                    best = record.top_candidates().of_query(query)
                    assert [names[one] for one in tops[n][0]] == [one.id for one in best]
                    assert tops[n][1] == pytest.approx([one.score for one in best], rel=1e-3)
    assert seen == 3 * records["bm25"].ranks.n_relevants


def test_a_file_has_as_many_questions_as_fit(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = loaded(bare / "explore" / "mini.js")
    files = [loaded(bare / "explore" / "mini" / f"{start}.js") for start in index["starts"]]
    assert sum(map(len, files)) == 24
    assert len(files) < 24
    for path in (bare / "explore").rglob("*.js"):
        assert path.stat().st_size < 2**17


def test_without_texts_there_is_none(bare: Path) -> None:
    task = load_task("mini")
    texts = {one.text for one in (*task.queries, *task.candidates)}
    for name, content in contents(bare).items():
        packed = loaded(bare / name) if name.startswith("explore/") else content.decode("utf-8")
        said = packed if isinstance(packed, str) else str(packed)
        assert not any(text in said for text in texts if len(text) > 12), name
    assert "leaderboard build --texts" in (bare / "explore.html").read_text(encoding="utf-8")
    assert not (bare / "explore" / "mini" / "ar.js").exists()


def test_with_texts(told: Path) -> None:
    task = load_task("mini")
    index = loaded(told / "explore" / "mini.js")
    texts = {candidate.id: candidate.text for candidate in task.candidates}
    listed = candidates_of(told)
    assert len(listed) >= 264
    assert all(text == texts[name] for name, text in listed)
    places = [name.partition(":")[2] for name, _ in listed]
    assert len(set(places[:11])) < 11, "translations stand together"
    for code in ("ar", "hi", "th", "zh"):
        asked = {query.question: query.text for query in task.queries if query.language == code}
        assert loaded(told / "explore" / "mini" / f"{code}.js") == [asked[question] for question in index["questions"]]
    english = {title for cluster, title in task.titles.items() if cluster.startswith("en:")}
    assert set(index["titles"].values()) == english
    assert set(index["titles"]) == set(map(str, index["articles"]))


def test_other_pages_do_not_grow(board: Path, bare: Path, told: Path, tmp_path: Path) -> None:
    link = '<li><a href="explore.html">Questions</a></li>\n'
    for site in (bare, told):
        for name in ("index.html", "compare.html", "about.html"):
            assert link in (site / name).read_text(encoding="utf-8")
            assert "explore/" not in (site / name).read_text(encoding="utf-8")
    assert contents(bare)["index.html"] == contents(told)["index.html"]
    assert len(contents(told)["explore.html"]) < 2**17


@pytest.mark.parametrize("texts", [True, False])
def test_built_twice_the_bytes_are_the_same(board: Path, bare: Path, told: Path, tmp_path: Path, texts: bool) -> None:
    assert contents(built(board, tmp_path / "again", texts=texts)) == contents(told if texts else bare)


def test_a_site_without_them_has_no_such_files(board: Path, tmp_path: Path) -> None:
    site = built(board, tmp_path / "site", texts=True)
    built(board, site, texts=False)
    assert not (site / "explore" / "mini" / "ar.js").exists()


def test_large_tasks_are_left_out(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_leaderboard(board, test=False)
    monkeypatch.setattr(explore, "MOST_QUESTIONS", 23)
    assert explorer(read, board) is None
    assert texts_at_hand(read, None, noncommercial=True) == {}


def test_a_folder_that_changed(board: Path) -> None:
    read = read_leaderboard(board, test=False)
    read.rows[0].ranks_digest = "0" * 64
    with pytest.raises(XqrBenchError, match="has changed since the leaderboard was read"):
        explorer(read, board)


def test_texts_of_another_task(board: Path) -> None:
    read = read_leaderboard(board, test=False)
    few = load_task("mini", limit=3)
    with pytest.raises(DataError, match="are not those of its rows"):
        explorer(read, board, {"mini": few})


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("CC BY-SA 4.0", (True, True)),
        ("CC BY 4.0", (True, True)),
        ("CC0 1.0", (True, True)),
        ("Apache-2.0", (True, True)),
        ("CC BY-NC 4.0", (False, True)),
        ("CC BY-NC-SA 4.0", (False, True)),
        ("CC BY-ND 4.0", (False, False)),
        ("CC BY-NC-ND 4.0", (False, False)),
        ("all rights reserved", (False, False)),
        (None, (False, False)),
    ],
)
def test_licences(name: str | None, allowed: tuple[bool, bool]) -> None:
    licence = None if name is None else Licence(name=name, url="https://example.org")
    spec = load_spec("mini").model_copy(update={"licence": licence})
    assert tuple(may_be_shown(spec, noncommercial=noncommercial) for noncommercial in (False, True)) == allowed


def test_the_shipped_tasks_of_the_paper() -> None:
    assert may_be_shown(load_spec("xquad-r"), noncommercial=False)
    assert not may_be_shown(load_spec("mlqa-r"), noncommercial=False)
    assert may_be_shown(load_spec("mlqa-r"), noncommercial=True)


class Told(Observer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize(("name", "line"), [("mlqa-r", "left out for their licence"), ("xquad-r", "are not here")])
def test_texts_that_are_left_out_are_told_of(
    name: str, line: str, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_leaderboard(board, test=False)
    monkeypatch.setattr(explore, "find_task", lambda _: load_spec(name))
    seen = Told()
    assert texts_at_hand(read, tmp_path, noncommercial=False, observe=seen) == {}
    (found,) = seen.lines
    assert line in found


def test_the_command(board: Path, bare: Path, told: Path, tmp_path: Path) -> None:
    for more, wanted in (((), bare), (("--texts",), told)):
        out = tmp_path / f"site{len(more)}"
        ran("leaderboard", "build", "--leaderboard", str(board), "--out", str(out), "--quiet", *more)
        made = contents(out)
        explored = {name for name in made if name.startswith("explore")}
        assert explored == {name for name in contents(wanted) if name.startswith("explore")}
        assert all(made[name] == contents(wanted)[name] for name in explored if name != "explore.html")
    ran("leaderboard", "build", "--json", str(out / "leaderboard.json"), "--out", str(tmp_path / "json"))
    assert not (tmp_path / "json" / "explore.html").exists()
    for options, problem in (
        (("--texts", "--json", "x.json"), "--texts with --json"),
        (("--noncommercial",), "are about --texts"),
    ):
        done = run("leaderboard", "build", "--out", str(tmp_path / "no"), *options)
        assert done.code != 0
        assert problem in done.err
