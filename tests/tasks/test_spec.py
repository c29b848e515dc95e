"""Task files: what a good one says, and one clear error for each way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.tasks.loopback import PARTIAL
from xqr_bench.core.errors import TaskError, UnknownNameError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, SETTINGS, TaskData
from xqr_bench.tasks import DEFAULT_METRICS, READERS, SEPARATE_METRICS, TaskSpec, list_specs, load_spec, resolve_task
from xqr_bench.tasks.spec import COMMIT

pytestmark = pytest.mark.usefixtures("own_surroundings")

SMALL = """\
name = "mine"
languages = ["de", "en"]
[files]
de = { path = "de.json" }
en = { path = "sub/en.json" }
"""
DIGEST = "0" * 64
REMOTE = f"""\
name = "mine"
languages = ["de", "en"]
licence = {{ name = "CC0", url = "https://example.org" }}
revision = "v1"
base_url = "https://example.org/{{revision}}/{{path}}"
[files]
de = {{ path = "de.json", sha256 = "{DIGEST}" }}
en = {{ path = "en.json", sha256 = "{DIGEST}" }}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


# shipped


def test_the_shipped_tasks_in_their_order() -> None:
    specs = list_specs()
    assert [spec.name for spec in specs] == [
        "mini",
        "xquad-r",
        "mlqa-r",
        "xquad",
        "xquad-r-paragraph",
        "belebele",
        "mlqa",
        "neuclir",
        "ntrex",
        "afriqa",
        "afriqa-translated",
        "miracl",
        "ciral",
        "tatoeba",
    ]
    assert [spec.name for spec in specs if spec.demonstration] == ["mini"]
    for spec in specs:
        assert spec.origin.stem == spec.name
        possible = READERS.get(spec.format).settings
        own = spec.pool == spec.languages
        lacking = {MONOLINGUAL} if not own else {CROSS_LINGUAL} if not spec.parallel else set()
        assert spec.settings == tuple(name for name in possible if name not in lacking)
        assert spec.licence is not None
        pinned = all(file.sha256 or COMMIT.search(spec.url(key) or "") for key, file in spec.files.items())
        assert pinned or spec.source
        assert load_spec(spec.name) == spec


def test_xquad_r_is_pinned_to_its_upstream_commit() -> None:
    spec = load_spec("xquad-r")
    assert spec.url("tr") == (
        "https://raw.githubusercontent.com/google-research-datasets/lareqa/"
        "9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c/xquad-r/tr.json"
    )
    assert load_spec("mini").url("tr") is None
    assert "2004.05484" in spec.citation
    assert "1910.11856" in spec.citation
    assert "1910.07475" in load_spec("mlqa-r").citation


def test_groups_have_members_or_a_reason() -> None:
    groups = load_spec("xquad-r").group_members()
    assert groups == {"joshi-3": (("el", "th"), None, ()), "paper-unseen": (("el", "vi"), None, ())}
    groups = load_spec("mlqa-r").group_members()
    assert groups["joshi-3"].members == ()
    assert groups["joshi-3"].reason == "no language of mlqa-r belongs to the group joshi-3"
    assert groups["paper-unseen"] == (("vi",), None, ("el",))
    part = load_spec("xquad-r").group_members(["de", "th"])
    assert part["joshi-3"] == (("th",), None, ("el",))
    assert part["paper-unseen"].reason == "none of de, th (xquad-r) belongs to the group paper-unseen"


def test_a_wrong_name_lists_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="there is no task named 'xquadr'\n  found: closest: xquad-r") as caught:
        load_spec("xquadr")
    assert "xquad-r, xquad-r-paragraph; or the path of a task file" in str(caught.value)


def test_a_shipped_task_file_may_be_named_by_its_path(tmp_path: Path) -> None:
    spec = load_spec("mini")
    assert spec.origin is not None
    (tmp_path / "link.toml").symlink_to(spec.origin)
    assert load_spec(tmp_path / "link.toml").model_dump() == spec.model_dump()


# a user's own


def test_a_small_task_file_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    for given in (path, str(path)):
        spec = load_spec(given)
        assert (spec.title, spec.format, spec.settings, spec.metrics) == ("mine", "lareqa", SETTINGS, DEFAULT_METRICS)
        assert spec.groups == ("joshi-3", "paper-unseen")
        assert (spec.licence, spec.demonstration, spec.downloadable) == (None, False, False)
        assert spec.origin == path


def test_a_task_that_is_not_parallel_has_measures_that_need_no_translations(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, SMALL.replace('name = "mine"', 'name = "mine"\nparallel = false')))
    assert not spec.parallel
    assert spec.metrics == SEPARATE_METRICS == load_spec("afriqa").metrics


@pytest.mark.parametrize("name", ["afriqa", "afriqa-translated", "tatoeba"])
def test_formats_whose_ids_count_anew_are_never_parallel(name: str) -> None:
    keys = load_spec(name).model_dump() | {"parallel": True}
    with pytest.raises(TaskError, match=r"count anew in every file.*\n  to do: write parallel = false"):
        TaskSpec.model_validate(keys)


def test_a_file_without_the_ending_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "taskfile"
    path.write_text(SMALL, encoding="utf-8")
    assert load_spec(str(path)).name == "mine"


def test_a_spec_is_frozen(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, SMALL))
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"


def test_languages_outside_the_table_are_welcome(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, SMALL.replace("de", "zh-Hant")))
    assert spec.languages == ("zh-Hant", "en")
    assert spec.group_members()["joshi-3"].members == ()


def adding(line: str) -> dict[str, str]:
    """The edit that adds a line to the first keys."""
    return {'name = "mine"': f'name = "mine"\n{line}'}


ONE_LANGUAGE = {'["de", "en"]': '["de"]'}
LICENCE_LINE = 'licence = { name = "CC0", url = "https://example.org" }'

# what is wrong: (a good file, edits to it, text of the message)
FAULTS: dict[str, tuple[str, dict[str, str], str]] = {
    "unknown key": (SMALL, adding('license = "x"'), "unknown key license\n  found: closest: licence"),
    "unknown key of a file": (
        SMALL,
        {'path = "de.json"': 'path = "de.json", sha = "x"'},
        "unknown key files.de.sha\n  found: closest: sha256",
    ),
    "unknown key of the licence": (
        REMOTE,
        {'name = "CC0"': 'name = "CC0", year = 1'},
        "unknown key licence.year\n  found: known: name, url",
    ),
    "no languages": (
        SMALL,
        {'languages = ["de", "en"]': ""},
        "the key languages is missing\n  to do: add it: a list of language codes",
    ),
    "languages as text": (
        SMALL,
        {'["de", "en"]': '"de en"'},
        "languages: Input should be a valid tuple\n  found: 'de en'\n  to do: write a list of language codes",
    ),
    "a number as name": (
        SMALL,
        {'"mine"': "7"},
        "name: Input should be a valid string\n  found: 7\n  to do: write a text",
    ),
    "demonstration as text": (
        SMALL,
        adding('demonstration = "yes"'),
        "demonstration: Input should be a valid boolean\n  found: 'yes'\n  to do: write true or false",
    ),
    "bad name": (SMALL, {'"mine"': '"My Task"'}, "name: 'My Task' cannot name a task (it becomes a file name)"),
    "empty languages": (SMALL, {'["de", "en"]': "[]"}, "languages: the list is empty"),
    "language twice": (
        SMALL,
        {'["de", "en"]': '["de", "en", "de"]'},
        "languages: de stands there twice\n  to do: name each once",
    ),
    "no code": (SMALL, {'["de", "en"]': '["German", "en"]'}, "languages: 'German' is no language code"),
    "language without file": (
        SMALL,
        {'["de", "en"]': '["de", "en", "tr"]'},
        'files.tr: the language tr has no file\n  to do: add tr = { path = "..." } under [files]',
    ),
    "file without language": (
        SMALL,
        {**ONE_LANGUAGE, **adding('settings = ["monolingual"]')},
        "files.en: there is a file for en, which is not among the languages\n  found: languages: de",
    ),
    "one file for two": (SMALL, {"sub/en.json": "de.json"}, "files.en.path: 'de.json' is also the file of de"),
    "absolute path": (
        SMALL,
        {"sub/en.json": "/en.json"},
        "files.en.path: '/en.json' is not a relative path with forward slashes\n"
        "  to do: write it relative to the task file",
    ),
    "path out of the data folder": (
        REMOTE,
        {'"en.json"': '"../en.json"'},
        "files.en.path: '../en.json' is not a relative path with forward slashes that stays inside",
    ),
    "unknown setting": (
        SMALL,
        adding('settings = ["crosslingual"]'),
        "settings: there is no setting named 'crosslingual'\n  found: closest: cross-lingual",
    ),
    "cross-lingual with one language": (
        SMALL,
        {**ONE_LANGUAGE, 'en = { path = "sub/en.json" }': ""},
        "settings: a task of one language has no cross-lingual setting",
    ),
    "empty metrics": (SMALL, adding("metrics = []"), "metrics: the list is empty"),
    "empty metric": (SMALL, adding('metrics = ["map", ""]'), "metrics.1: String should have at least 1 character"),
    "unknown group": (
        SMALL,
        adding('groups = ["joshi3"]'),
        "groups: there is no language group named 'joshi3'\n  found: closest: joshi-3",
    ),
    "unknown format": (
        SMALL,
        adding('format = "lareka"'),
        "format: there is no source format named 'lareka'\n  found: closest: lareqa",
    ),
    "base_url without path": (
        REMOTE,
        {"{path}": "en.json"},
        "base_url: 'https://example.org/{revision}/en.json' is no address template",
    ),
    "base_url with another field": (
        REMOTE,
        {"{revision}": "{version}"},
        "is no address template\n  to do: write a http(s) address that holds {path}",
    ),
    "base_url of another kind": (REMOTE, {"https://example.org/{": "ftp://a/{"}, "is no address template"),
    "base_url with an open brace": (REMOTE, {"{path}": "{path"}, "base_url: not a template: "),
    "base_url without revision": (
        REMOTE,
        {'revision = "v1"': ""},
        "revision: a task with base_url needs a revision",
    ),
    "base_url without licence": (
        REMOTE,
        {LICENCE_LINE: ""},
        "licence: a task with base_url needs a licence, to be shown before its download",
    ),
    "base_url without digest": (
        REMOTE,
        {f', sha256 = "{DIGEST}"': ""},
        "files.de.sha256: a file that is downloaded or embedded needs its digest\n"
        "  to do: add sha256 (sha256sum de.json prints it), or have a commit of 40 hex digits in its address",
    ),
    "base_url and embedded": (
        REMOTE,
        adding('embedded = "mini"'),
        "embedded: base_url, source and embedded exclude each other",
    ),
    "short digest": (
        REMOTE,
        {DIGEST: "00"},
        "files.de.sha256: String should match pattern '^[0-9a-f]{64}$' (and 1 more after it)\n"
        "  found: '00'\n  to do: write 64 lower-case hex digits",
    ),
    "name of a shipped task": (
        SMALL,
        {'"mine"': '"xquad-r"'},
        "name: 'xquad-r' is the name of a shipped task\n  to do: give your task another name",
    ),
    "not TOML": (SMALL, {'"mine"': "mine"}, "not TOML: Invalid value (at line 1, column 8)"),
}


@pytest.mark.parametrize(("good", "edits", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_names_file_key_and_remedy(tmp_path: Path, good: str, edits: dict[str, str], message: str) -> None:
    text = good
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    path = write(tmp_path, text)
    with pytest.raises(TaskError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "to do: " in str(caught.value)


def test_unreadable_task_files(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"there is no task file nowhere\.toml"):
        load_spec("nowhere.toml")
    with pytest.raises(TaskError, match=r"cannot read the task file .*: Is a directory"):
        load_spec(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes('name = "Ä"'.encode("latin-1"))
    with pytest.raises(TaskError, match=r"latin\.toml: not UTF-8 text, at byte 8"):
        load_spec(path)


# what names a task


def test_whatever_names_a_task_is_resolved() -> None:
    spec = load_spec("mini")
    assert resolve_task("mini") == spec
    assert resolve_task(spec) is spec
    assert resolve_task(PARTIAL / "task.toml").name == "partial"


def made_data(name: str, languages: tuple[str, ...]) -> TaskData:
    return TaskData(name, languages, (), (), (), ())


def test_task_data_gets_the_settings_of_its_name_or_the_defaults() -> None:
    assert resolve_task(made_data("xquad-r", ("en", "th"))) == load_spec("xquad-r")
    own = resolve_task(made_data("mine", ("en", "sw")))
    assert (own.name, own.languages, own.settings, own.metrics) == ("mine", ("en", "sw"), SETTINGS, DEFAULT_METRICS)
    assert own.origin is None
    assert set(own.group_members()) == {"joshi-3", "paper-unseen"}
    with pytest.raises(TaskError, match="is called 'xquad-r', as a shipped task is that has no sw"):
        resolve_task(made_data("xquad-r", ("en", "sw")))


def test_made_by_hand_the_same_rules_hold() -> None:
    with pytest.raises(TaskError, match=r"files\.en: the language en has no file"):
        TaskSpec(name="mine", languages=("en",), settings=("monolingual",), files={})
