"""The table of languages, groups made from it, and codes as users write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import BOARD, PARTIAL, read_json, run
from xqr_bench.core.errors import TaskError, UnknownNameError, UsageError
from xqr_bench.core.languages import (
    XQUAD_R,
    all_groups,
    check_code,
    code_meant,
    get_group,
    language,
    same_language,
    table,
)
from xqr_bench.record.describe import groups_of
from xqr_bench.tasks import list_specs, load_spec, load_task

RECORDS = sorted(path for name in ("xquad-r", "mlqa-r") for path in BOARD.glob(f"*/*/{name}.json"))


def test_every_language_of_a_shipped_task_is_in_the_table() -> None:
    for spec in list_specs():
        for code in spec.all_languages:
            row = language(code)
            assert row is not None, (spec.name, code)
            assert all((row.name, row.script, row.family)), code
    assert {row.resource_class for row in table().values()} == {0, 1, 2, 3, 4, 5, None}
    for code, row in table().items():
        assert check_code(code) == code
        assert same_language(f"{code}-{row.script}") == code


def test_what_the_table_does_not_know_is_none_and_in_no_group() -> None:
    bemba, swabian = language("bem"), language("swg")
    assert bemba is not None
    assert swabian is not None
    assert (bemba.resource_class, bemba.paper_training, swabian.cc100_gib) == (None, None, None)
    assert language("ace") is None
    groups = [group for group in all_groups().values() if group.members(["bem", "ace"])]
    assert [group.name for group in groups] == ["script-latn", "family-atlantic-congo"]
    assert get_group("paper-unseen").members(table()) == ("el", "vi")  # nobody is unseen for want of a value


def test_groups_of_records_are_as_they_were() -> None:
    assert len(RECORDS) > 30
    for path in RECORDS:
        task = read_json(path)["task"]
        made = {name: group.model_dump(mode="json") for name, group in groups_of(load_spec(task["name"])).items()}
        assert json.loads(json.dumps(made)) == {
            name: {"missing": [], "undefined_reason": None} | group for name, group in task["groups"].items()
        }, path


def test_a_code_with_a_script() -> None:
    romanized, greek = language("hin-Latn"), language("ell-Grek")
    assert romanized is not None
    assert (romanized.name, romanized.script, romanized.resource_class) == ("Hindi (Latn)", "Latn", 4)
    assert romanized.cc100_gib is None  # the size is of the other script
    assert greek == language("el")
    assert get_group("script-latn").members(["hi", "hin-Latn", "deu-Latn"]) == ("hin-Latn", "deu-Latn")


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("eng-Latn", "en"),
        ("deu-Latn", "de"),
        ("rus-Cyrl", "ru"),
        ("zho-Hans", "zh"),
        ("zho-Hant", "zh-Hant"),
        ("hin-Latn", "hi-Latn"),
        ("arb-Arab", "arb"),  # Standard Arabic is not all that `ar` may be
        ("fon-Latn", "fon"),
        ("ace", "ace"),
    ],
)
def test_codes_of_one_language(code: str, same: str) -> None:
    assert same_language(code) == same
    assert code_meant(code, ["fr", same, "qaa"]) == same


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("eng_Latn", "eng-Latn (English)"),
        ("deu-latn", "deu-Latn (German)"),
        ("EN", "en (English)"),
        ("german", "de (German)"),
        ("kinyarwandan", "rw (Kinyarwanda)"),
        ("swahilli", "sw (Swahili)"),
        ("jp", "ja (Japanese)"),
        ("zho-Hanz", "zho-Hant (Chinese (Hant))"),
    ],
)
def test_a_wrong_code_is_told_what_may_be_meant(code: str, meant: str) -> None:
    with pytest.raises(UsageError, match="is no language code") as caught:
        check_code(code)
    assert meant in str(caught.value)


def test_codes_that_are_right() -> None:
    for code in ("en-x-news", "de-x-abcd", "de", "fon", "ace", "zh-Hant", "cat-Latn", "de-CH", "qaa", "ber"):
        assert check_code(code) == code
    for code in ("xx", "zzq", "", "d", "de-Abcd"):
        with pytest.raises(UsageError):
            check_code(code)


@pytest.mark.parametrize(("code", "own"), [("eng_Latn", "en"), ("english", "en"), ("EN", "en"), ("ger", "de")])
def test_a_code_that_may_mean_one_of_the_tasks_is_told(code: str, own: str) -> None:
    with pytest.raises(UsageError, match=rf"has no language .*\n  found: closest: {own}\n"):
        load_task("mini", languages=[code])


def test_other_codes_of_a_language_are_read_and_told(tmp_path: Path) -> None:
    asked = ("evaluate", "random", "--task", "mini", "--output", str(tmp_path))
    done = run(*asked, "--languages", "eng-Latn,deu")
    assert done.code == 0, done.err
    assert "eng-Latn is read as en, as mini calls this language" in done.err
    (path,) = tmp_path.glob("*/mini.json")
    assert read_json(path)["task"]["languages"] == ["de", "en"]
    done = run(*asked, "--languages", "arb-Arab,en")
    assert "the task mini has no language 'arb-Arab'" in done.err


def own_task(folder: Path, groups: str) -> Path:
    text = (
        PARTIAL.read_text(encoding="utf-8")
        .replace("[files]", f"{groups}\n\n[files]")
        .replace('groups = ["joshi-3", "paper-unseen"]\n', "")
    )
    for file in PARTIAL.parent.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "task.toml").write_text(text, encoding="utf-8")
    return folder / "task.toml"


def test_groups_of_a_task_file(tmp_path: Path) -> None:
    languages = load_spec(PARTIAL).languages
    first, second = languages[:2]
    spec = load_spec(own_task(tmp_path, f'[groups]\nnorth = ["{second}", "{first}"]'))
    assert spec.group_members()["north"] == ((first, second), None, ())
    assert spec.group_description("north") == "named in the task file"
    assert groups_of(spec)["north"].languages == (first, second)
    for groups, message in (
        ('[groups]\nnorth = ["xh"]', "groups.north: 'xh' is not among the languages"),
        (f'[groups]\njoshi-3 = ["{first}"]', "groups.joshi-3: this cannot name a group of your own"),
    ):
        with pytest.raises(TaskError, match=message):
            load_spec(own_task(tmp_path, groups))


def test_groups_of_the_table() -> None:
    assert get_group("script-cyrl").members(XQUAD_R) == ("ru",)
    assert get_group("family-turkic").members(["tr", "kaz-Cyrl", "de"]) == ("tr", "kaz-Cyrl")
    assert get_group("joshi-0").members(["fon", "de"]) == ("fon",)
    with pytest.raises(UnknownNameError, match="closest: script-latn"):
        get_group("script-latin")


def test_each_name_is_listed_once() -> None:
    """Of the questions of a task each stands there in every language."""
    assert UnknownNameError("question", "x", ["q-2", "q-1", "q-1"], remedy="see the list").found == "known: q-1, q-2"
