"""The only table of languages, and the groups made from it.

Sources:
    codes, names: ISO 639-1, ISO 639-3 reference names.
    script: ISO 15924 code of the script the language is written in here.
    resource_class: Joshi et al. 2020, "The State and Fate of Linguistic Diversity and Inclusion in the
        NLP World", taxonomy file microsoft.github.io/linguisticdiversity/assets/lang2tax.txt (0 = left behind ..
        5 = winners).
    paper_training: whether the language is among the training languages of Elmahdy et al. 2024
        (arXiv 2408.10536): ar, zh, en, de, hi, ru, es, th, tr.
    cc100_gib: GiB of text in CC-100, the training data of XLM-R: Conneau et al. 2020, "Unsupervised Cross-lingual
        Representation Learning at Scale" (arXiv 1911.02116), appendix A, table 6, column "Size"; of Chinese the
        simplified part. The table's token counts are left out: they count what stands between spaces, and Thai and
        Chinese have none.
    wikipedia_articles: articles of that Wikipedia as of August 2020: meta.wikimedia.org, "List of Wikipedias".
    Both sizes were read in github.com/mayhewsw/multilingual-data-stats (cc-100/cc-100.csv, wiki/wiki.csv), which copied
        them; docs/languages.md tells how far they were checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from xqr_bench.core.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Language:
    """One row of the table."""

    code: str
    name: str
    script: str
    resource_class: int
    paper_training: bool
    cc100_gib: float | None = None
    wikipedia_articles: int | None = None

    @property
    def right_to_left(self) -> bool:
        """Whether the script runs from right to left."""
        return self.script in {"Arab", "Hebr"}


_ROWS = (
    Language("ar", "Arabic", "Arab", 5, True, 28.0, 1_069_379),
    Language("de", "German", "Latn", 5, True, 66.6, 2_488_262),
    Language("el", "Greek", "Grek", 3, False, 46.9, 182_546),
    Language("en", "English", "Latn", 5, True, 300.8, 6_171_405),
    Language("es", "Spanish", "Latn", 5, True, 53.3, 1_631_829),
    Language("hi", "Hindi", "Deva", 4, True, 20.2, 142_300),
    Language("ru", "Russian", "Cyrl", 4, True, 278.0, 1_666_830),
    Language("th", "Thai", "Thai", 3, True, 71.7, 139_917),
    Language("tr", "Turkish", "Latn", 4, True, 20.9, 367_896),
    Language("vi", "Vietnamese", "Latn", 4, False, 137.3, 1_256_994),
    Language("zh", "Chinese", "Hans", 5, True, 46.9, 1_151_113),
)
LANGUAGES: dict[str, Language] = {row.code: row for row in _ROWS}

ISO_639_1 = frozenset(
    (  # noqa: SIM905
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee "
        "el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is "
        "it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms "
        "mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si "
        "sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh "
        "yi yo za zh zu "
    ).split()
)
"""All two-letter codes of ISO 639-1: what `check_code` knows beyond the table."""


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
        return tuple(code for code in languages if code in LANGUAGES and self.rule(LANGUAGES[code]))


_GROUP_ROWS = (
    LanguageGroup(
        "joshi-3",
        "languages of resource class 3 (the lower-resource ones here: the table holds classes 3 to 5)",
        "Joshi et al. 2020",
        lambda language: language.resource_class == 3,
    ),
    LanguageGroup(
        "paper-unseen",
        "languages that never appear in the training of Elmahdy et al. 2024",
        "Elmahdy et al. 2024, arXiv 2408.10536",
        lambda language: not language.paper_training,
        unseen_by="Elmahdy et al. 2024",
    ),
)
GROUPS: dict[str, LanguageGroup] = {group.name: group for group in _GROUP_ROWS}


def get_group(name: str) -> LanguageGroup:
    """Return the group called `name`.

    Raises:
        UnknownNameError: there is no such group.
    """
    if name not in GROUPS:
        raise UnknownNameError("language group", name, GROUPS)
    return GROUPS[name]


def check_code(code: str) -> str:
    """Return `code` where it can be a language: two letters of ISO 639-1 or three of ISO 639-3, perhaps with tags.

    For data of the user's own, whose languages the table need not have.

    Raises:
        UnknownNameError: it cannot.
    """
    if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*(-x(-[A-Za-z0-9]{1,8})+)?", code):
        base = code.split("-")[0]
        if len(base) == 3 or base in ISO_639_1:
            return code
    raise UnknownNameError(
        "language", code, LANGUAGES, remedy="use an ISO 639 code such as 'de', with a tag where needed ('zh-Hant')"
    )
