"""`ratios.json`: every figure of the ratio study, from which its page, plots and tables are made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import write_text

FILE = "ratios.json"
BUILT_IN = "ratio"
"""The name of the built-in study, whose plans say which tests are primary."""
BESIDE_FIRST = "Beside the first arm"
"""What is asked about an arm of a study of one's own."""
MAX_SIZE = 16 * 2**20
BASE_ARM = "alpha-0.5"
"""What the other arms are compared with."""
PRIMARY_VIEW = ("S1b", "raw", 100)
PRIMARY_CONDITIONS = ("S1b", "E1")
"""The primary condition of each plan."""
MAIN = (
    ("monolingual", "map"),
    ("cross-lingual", "map"),
    ("multilingual", "map"),
    ("multilingual", "rank_distance"),
    ("multilingual", "own_language_first"),
)
"""Setting and metric of the scores that are reported."""
TRAINED = "retrieval-trained"
"""Level of a language with training pairs."""
Verdict = Literal["holds", "does not", "cannot be told"]
CentringVerdict = Literal["no effect raw", "stays", "change of offset", "turns round", "cannot be told"]
Part = Literal["all", "level", "group", "language"]


def _short(value: float) -> float:
    """Seven significant digits."""
    if not math.isfinite(value):
        raise ValueError("a figure that is no number has no place here: leave it out")
    return float(f"{value:.7g}")


Number = Annotated[float, AfterValidator(_short)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Contrast(_Form):
    """A weighted sum of arms' scores, articles and seeds drawn again for its interval."""

    estimate: Number
    low: Number = Field(description="95%, percentiles of the two-way bootstrap")
    high: Number
    seeds: int
    t_low: Number | None = Field(
        default=None, description="95% of a paired t over seeds, articles fixed; null: one seed"
    )
    t_high: Number | None = None
    seed_deviation: Number | None = Field(default=None, description="over seeds, articles fixed; null: one seed")
    detectable: Number | None = Field(default=None, description="smallest true value found with 80% power at 5%")

    @property
    def told(self) -> int:
        """1 above 0, -1 below, 0 cannot be told: both intervals must agree, and one seed says nothing of others."""
        if self.t_low is None or self.t_high is None:
            return 0
        return 1 if min(self.low, self.t_low) > 0 else -1 if max(self.high, self.t_high) < 0 else 0


class TestPart(_Form):
    """One part of a hypothesis: `effect` is above 0 (H1), or not 0 (H2)."""

    name: str
    effect: Contrast
    p: Number = Field(description="two-way bootstrap, of the side tested")
    p_t: Number | None = Field(default=None, description="paired t over seeds; null: one seed")
    seeds_needed: int | None = Field(
        default=None, description="to find the estimate with 80% power; null: none would do"
    )


class Hypothesis(_Form):
    """H1 or H2; `claimed` needs both p-values, adjusted by Holm, at 5%."""

    name: str
    parts: list[TestPart]
    p: Number
    p_t: Number | None = None
    adjusted: Number
    adjusted_t: Number | None = None
    claimed: bool


class ArmFigure(_Form):
    """A score of an arm, mean over seeds, and its difference from `BASE_ARM`."""

    value: Number
    low: Number
    high: Number
    deviation: Number | None = Field(default=None, description="over seeds, articles fixed")
    difference: Contrast | None = Field(default=None, description="the arm minus alpha-0.5; paired")


class Score(_Form):
    """One score of all arms.

    `part`, `name`: all languages (""), or those of a level, a group or one language, by query language.
    """

    setting: str
    metric: str
    part: Part
    name: str
    arms: dict[str, ArmFigure]
    best: dict[str, Number] = Field(
        default_factory=dict, description="alphas best in at least 5% of the resamples -> the share; empty: not asked"
    )
    detectable: Number | None = Field(default=None, description="the largest of alpha-0.5 against another alpha")


class ClaimPart(_Form):
    """What a claim says, as a contrast above 0; `counts`: the verdict rests on it."""

    text: str
    effect: Contrast
    outcome: Verdict
    counts: bool = True
    seeds_needed: int | None = Field(
        default=None,
        description="where it cannot be told: to find the estimate with 80% power, same articles; null: none would do",
    )


class Claim(_Form):
    """A claim of the paper, held against the data; exploratory."""

    number: str
    text: str
    verdict: Verdict
    parts: list[ClaimPart] = []
    reason: str | None = Field(default=None, description="why nothing can be said")


class Control(_Form):
    """What a control arm tells, by one contrast on each score."""

    question: str
    contrast: str
    effects: dict[str, Contrast] = Field(description="setting/metric -> contrast")
    reading: str


class View(_Form):
    """One checkpoint, raw or centred."""

    view: Literal["raw", "centred"]
    percent: int
    scores: list[Score]
    tests: list[Hypothesis] = []
    claims: list[Claim] = []
    controls: list[Control] = []
    missing: list[str] = Field(default_factory=list, description="what is not here, and why")

    def score(self, setting: str, metric: str, part: Part = "all", name: str = "") -> Score | None:
        """A score, where it is there."""
        key = (setting, metric, part, name)
        return next((one for one in self.scores if (one.setting, one.metric, one.part, one.name) == key), None)


class Centring(_Form):
    """An effect of alpha, or of a control arm, raw and centred; `lost`: raw minus centred, same draws."""

    setting: str
    metric: str
    contrast: str
    raw: Contrast
    centred: Contrast
    lost: Contrast
    verdict: CentringVerdict


class LanguageEffect(_Form):
    """Multilingual MAP of one query language: alpha .5 minus alpha 0 and minus alpha 1; the same from papers."""

    code: str
    name: str
    level: str
    minus_cross: Contrast
    minus_mono: Contrast
    published: dict[str, tuple[Number, Number]] = Field(
        default_factory=dict, description="model -> hybrid minus x-y, hybrid minus x-x-mono"
    )


class MedianSeed(_Form):
    """The run of a main arm that goes to the leaderboard."""

    arm: str
    seed: int
    value: Number
    median: Number
    record: str
    command: str = Field(description="makes the record again")


class LanguageInfo(_Form):
    """A language of the evaluated task."""

    code: str
    name: str
    level: str = Field(description="retrieval-trained, aligned only, untouched, or both where it rotates")
    joshi: int | None = None


class ArmInfo(_Form):
    """An arm; `alpha` only of those on the curve."""

    name: str
    about: str
    alpha: float | None = None


class Condition(_Form):
    """All of one condition."""

    name: str
    about: str
    train: str
    evaluate: str
    seeds: list[int]
    left_out: dict[int, str] = Field(default_factory=dict, description="seed -> why")
    excluded: dict[str, str] = Field(default_factory=dict, description="language -> the run that cannot represent it")
    plans: dict[str, int] = Field(description="SHA-256 of a plan -> runs made under it")
    articles: int
    arms: list[ArmInfo]
    languages: list[LanguageInfo]
    views: list[View]
    without_shared: View | None = Field(default=None, description="the primary figures without what the tasks share")
    shared_questions: int | None = None
    centring: list[Centring] = []
    by_language: list[LanguageEffect] = []
    published_source: str | None = None
    medians: list[MedianSeed] = []
    missing: list[str] = []

    def view(self, view: str = "raw", percent: int = 100) -> View | None:
        """One checkpoint, where it is there."""
        return next((one for one in self.views if (one.view, one.percent) == (view, percent)), None)


class Tried(_Form):
    """Numbers of the recipe that were tried before the study, and what they gave."""

    learning_rate: Number
    temperature: Number
    updates: int
    monolingual: Number = Field(description="MAP, mean over the runs")
    multilingual: Number
    criterion: Number = Field(description="mean of both: the highest was chosen")
    runs: int


class Tuning(_Form):
    """How the numbers were chosen: learning rate and temperature first, then the updates."""

    arms: list[str]
    seeds: list[int]
    first_step: list[Tried]
    second_step: list[Tried]


class Ratios(_Form):
    """The file."""

    ratios_version: Literal[2] = 2
    study: str
    plan: str = Field(description="SHA-256 of the present plan")
    seed: int
    resamples: int
    level: Number
    margin: Number
    numbers: dict[str, Any]
    chosen_by: str
    tuning: Tuning | None = Field(default=None, description="null: none were tried in this folder")
    code_version: str
    conditions: list[Condition]
    missing: list[str] = Field(default_factory=list, description="conditions that are not here, and why")

    def is_primary(self, condition: Condition, view: View) -> bool:
        """Whether the tests of this view are the primary ones; all others are exploratory."""
        primary = self.study == BUILT_IN and condition.name in PRIMARY_CONDITIONS
        return primary and (view.view, view.percent) == PRIMARY_VIEW[1:]


STUDY_FILE, TUNING_FILE, SUMMARY, SHARED = "study.json", "tuning.json", "sweep.json", "shared"
"""In a sweep's folder: the numbers of all its runs, their choice, the summary record, what runs share."""


def refuse_other_folder(folder: Path) -> None:
    """Check that a folder is one of a sweep, which takes no time.

    Raises:
        RecordError: it is not.
    """
    if not (folder / STUDY_FILE).is_file():
        raise RecordError(
            f"there is no study {folder}",
            found=f"a folder without {STUDY_FILE}" if folder.is_dir() else None,
            remedy="name the folder that xqr-bench sweep --output made",
        )


def save_ratios(ratios: Ratios, path: Path) -> Path:
    """Write the file; the same figures give the same bytes."""
    write_text(path, ratios.model_dump_json(exclude_none=True) + "\n")
    return path


def load_ratios(path: Path) -> Ratios:
    """Read the file.

    Raises:
        RecordError: it cannot be read, is too large, or has another form.
    """
    remedy = "make it with xqr-bench report ratios"
    try:
        if path.is_symlink():
            raise RecordError(f"{path} is a link", remedy=remedy)
        return strict_json.validate(Ratios, strict_json.read(path, MAX_SIZE))
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}", remedy=remedy) from error
    except ValidationError as error:
        raise RecordError(f"{path} is no {FILE}", found=strict_json.first_fault(error), remedy=remedy) from error
    except ValueError as error:
        raise RecordError(f"{path} is no {FILE}: {error}", remedy=remedy) from error
