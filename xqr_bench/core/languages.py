"""The only table of languages (`languages.csv`, which names its sources), the groups made from it, and codes.

A code is one of ISO 639-1 or ISO 639-3, perhaps with tags as BCP 47 has them: `de`, `deu-Latn`, `zh-Hant`. What the
table does not know of a language is None: no group has it, and nothing is said of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from xqr_bench.core.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True)
class Language:
    """One row of the table; under a code with a script, the language in that script."""

    code: str
    name: str
    script: str
    family: str
    resource_class: int | None = None
    paper_training: bool | None = None
    cc100_gib: float | None = None
    wikipedia_articles: int | None = None

    @property
    def right_to_left(self) -> bool:
        """Whether the script runs from right to left."""
        return self.script in {"Arab", "Hebr"}


def _words(name: str) -> list[str]:
    """The words of a file of this folder, less its comments."""
    lines = (Path(__file__).with_name(name)).read_text(encoding="utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


@cache
def _short_codes() -> dict[str, str]:
    """Each code of ISO 639 -> the shortest of that language."""
    pairs = [word.partition("/") for word in _words("iso_639.txt")]
    codes = {long: short or long for long, _, short in pairs}
    return codes | {short: short for short in codes.values()}


@cache
def table() -> dict[str, Language]:
    """The rows of the table, by code."""
    lines = Path(__file__).with_name("languages.csv").read_text(encoding="utf-8").splitlines()
    return {
        row["code"]: Language(
            row["code"],
            row["name"],
            row["script"],
            row["family"],
            int(row["resource_class"]) if row["resource_class"] else None,
            {"yes": True, "no": False}.get(row["paper_training"]),
            float(row["cc100_gib"]) if row["cc100_gib"] else None,
            int(row["wikipedia_articles"]) if row["wikipedia_articles"] else None,
        )
        for row in csv.DictReader(line for line in lines if not line.startswith("#"))
    }


def _scripts(code: str) -> list[str]:
    """The script among the tags of a code; what stands behind `-x-` is anybody's."""
    return [tag for tag in code.partition("-x-")[0].split("-")[1:] if len(tag) == 4 and tag.isalpha()]


@cache
def language(code: str) -> Language | None:
    """What the table knows of a language under this code; None: nothing."""
    base = code.split("-")[0]
    row = table().get(base if base in table() else _short_codes().get(base, base))
    script = next((tag.title() for tag in _scripts(code)), None)
    if row is None or script in (None, row.script):
        return row
    name = f"{row.name} ({script})"
    return replace(row, code=code, name=name, script=script, cc100_gib=None, wikipedia_articles=None)


def same_language(code: str) -> str:
    """The shortest code of the same language in the same script: `en` of `eng-Latn`, `zh-Hant` of `zho-Hant`."""
    base, *tags = code.split("-")
    short = _short_codes().get(base, base)
    row = table().get(short)
    usual = [tag for tag in _scripts(code) if row is not None and tag.title() == row.script]
    return "-".join((short, *(tag for tag in tags if tag not in usual)))


def long_code(code: str) -> str:
    """The code of ISO 639-3 with the script: `deu-Latn` of `de`, `zho-Hant` of `zh-Hant`; `Zzzz` is no known script."""
    base, row = code.split("-")[0], language(code)
    long = next((long for long, short in _short_codes().items() if short == base and len(long) == 3), base)
    scripts = [tag.title() for tag in _scripts(code)] or ([row.script] if row is not None else ["Zzzz"])
    return f"{long}-{scripts[0]}"


def code_meant(code: str, codes: Iterable[str]) -> str:
    """The one of `codes` that `code` is, or the only one that names the same language in the same script.

    Where there is none, `code` as it is.
    """
    same = [one for one in codes if one == code] or [one for one in codes if same_language(one) == same_language(code)]
    return same[0] if len(same) == 1 else code


@dataclass(frozen=True, slots=True)
class LanguageGroup:
    """A named set of languages, decided by a rule over the table.

    Attributes:
        name, description, source: what it is, and who says so.
        rule: whether a language belongs to it.
        unseen_by: whose training never saw these languages; empty: the group says nothing of a training.
    """

    name: str
    description: str
    source: str
    rule: Callable[[Language], bool]
    unseen_by: str = ""

    @property
    def label(self) -> str:
        """Its name, and of which training it speaks."""
        return f"{self.name} (unseen by {self.unseen_by})" if self.unseen_by else self.name

    def members(self, languages: Iterable[str]) -> tuple[str, ...]:
        """Those of `languages` that belong to the group, in the order given."""
        return tuple(code for code in languages if (row := language(code)) is not None and self.rule(row))


def _class_group(number: int) -> LanguageGroup:
    return LanguageGroup(
        f"joshi-{number}",
        f"languages of resource class {number}, of 0 (least) to 5",
        "Joshi et al. 2020",
        lambda language: language.resource_class == number,
    )


def _script_group(script: str) -> LanguageGroup:
    name = f"script-{script.lower()}"
    return LanguageGroup(name, f"languages written in {script}", "CLDR", lambda row: row.script == script)


def _family_group(family: str) -> LanguageGroup:
    name = f"family-{family.lower().replace(' ', '-')}"
    return LanguageGroup(name, f"languages of the family {family}", "Glottolog 5.1", lambda row: row.family == family)


XQUAD_R = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
"""The languages that the first tasks have or share: of a task of these it is told which members of a group it lacks."""

GROUPS: dict[str, LanguageGroup] = {
    "joshi-3": _class_group(3),
    "paper-unseen": LanguageGroup(
        "paper-unseen",
        "languages that never appear in the training of Elmahdy et al. 2024",
        "Elmahdy et al. 2024, arXiv 2408.10536",
        lambda language: language.paper_training is False,
        unseen_by="Elmahdy et al. 2024",
    ),
}
"""Those that a task has whose file names none."""


@cache
def all_groups() -> dict[str, LanguageGroup]:
    """Every group that a task file can name: `GROUPS`, and one for each class, script and family of the table."""
    scripts, families = ({getattr(row, part) for row in table().values()} for part in ("script", "family"))
    made = [
        *map(_class_group, range(6)),
        *map(_script_group, sorted(scripts)),
        *map(_family_group, sorted(families)),
    ]
    return GROUPS | {group.name: group for group in made if group.name not in GROUPS}


def get_group(name: str) -> LanguageGroup:
    """Return the group called `name`.

    Raises:
        UnknownNameError: there is no such group.
    """
    group = GROUPS.get(name) or all_groups().get(name)
    if group is None:
        raise UnknownNameError(
            "language group",
            name,
            all_groups(),
            remedy="use one such as joshi-3, script-cyrl or family-turkic; docs/tasks.md tells which there are",
        )
    return group


CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*(-x(-[A-Za-z0-9]{1,8})+)?")


def check_code(code: str) -> str:
    """Return `code` where it can be a language: ISO 639-1 or 639-3, perhaps with tags, a script among them.

    For data of the user's own, whose languages the table need not have. `qaa` to `qtz` are anybody's.

    Raises:
        UsageError: it cannot; the message names codes that may be meant.
    """
    if CODE.fullmatch(code):
        base = code.split("-")[0]
        known = base in _short_codes() or "qaa" <= base <= "qtz"
        if known and set(_scripts(code)) <= set(_words("iso_15924.txt")):
            return code
    meant = [f"{one} ({row.name})" if (row := language(one)) else one for one in _meant(code)]
    raise UsageError(
        f"{code!r} is no language code",
        found=f"perhaps {', '.join(meant)}" if meant else None,
        remedy="use a code of ISO 639-1 or 639-3 such as 'de', with tags where needed ('zh-Hant', 'en-x-news')",
    )


def _meant(code: str) -> list[str]:
    """Codes that may be meant by what is none: in another case, with `_`, by name, or with a letter wrong."""
    base, *tags = re.split("[-_]", code.casefold())
    if base in _short_codes():
        bases = [base]
    else:
        names = {row.name.casefold(): row.code for row in reversed(table().values())}
        names |= {long: short for long, short in _short_codes().items() if short in table()}
        bases = list(dict.fromkeys(names[one] for one in get_close_matches(base, names, cutoff=0.6)))
    scripts = get_close_matches(tags[0].title(), _words("iso_15924.txt"), n=1) if tags else []
    return ["-".join((one, *scripts)) for one in bases]


def codes_like(code: str, codes: Iterable[str]) -> list[str]:
    """Those of `codes` that may be meant by what is none of them: `en` by `eng_Latn` and by `english`."""
    there = list(codes)
    return [one for one in dict.fromkeys(code_meant(meant, there) for meant in _meant(code)) if one in there]
