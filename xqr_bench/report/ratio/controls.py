"""What centring leaves of an effect, and what the control arms tell, as tables."""

from __future__ import annotations

from xqr_bench.report.plain import PlainTable
from xqr_bench.report.ratio.cells import CENTRED_ENDS, EXPLORATORY, MAIN, SHORT, gap
from xqr_bench.report.ratio.model import Condition

OFFSET = (
    "Change of offset: told raw, not told centred, and the two told apart. Stays, turns round: told in both, in one "
    "direction or opposite ones. Told: both 95% intervals, bootstrap and t over seeds, without 0."
)


def _of_controls(condition: Condition) -> set[str]:
    return {one.contrast for view in condition.views for one in view.controls}


def centring_table(condition: Condition) -> PlainTable | None:
    """Effects of alpha raw and centred."""
    others = _of_controls(condition)
    rows = tuple(
        (
            SHORT[one.setting, one.metric],
            one.contrast,
            gap(one.raw),
            gap(one.centred),
            gap(one.lost),
            one.verdict,
        )
        for one in condition.centring
        if one.contrast not in others
    )
    return PlainTable(
        f"{condition.name}: raw and language-centred, 100% of the updates",
        ("score", "effect", "raw", "centred", "raw minus centred", "verdict"),
        rows,
        names=2,
        notes=(f"{OFFSET} {EXPLORATORY}",),
    )


def controls_tables(condition: Condition) -> list[PlainTable]:
    """What the control arms tell: raw and centred at 100%, what centring leaves, and raw at every checkpoint."""
    names = tuple(SHORT[key] for key in MAIN)
    made = []
    for view in (condition.view(), condition.view("centred")):
        if view is not None:
            rows = tuple(
                (one.question, one.contrast, *(gap(one.effects.get("/".join(key))) for key in MAIN))
                for one in view.controls
            )
            title = f"{condition.name}: control arms, {view.view}, 100% of the updates"
            notes = (f"{EXPLORATORY} {CENTRED_ENDS}",)
            made.append(PlainTable(title, ("question", "contrast", *names), rows, names=2, notes=notes))
    verdicts = {(one.contrast, one.setting, one.metric): one.verdict for one in condition.centring}
    views = [view for view in condition.views if view.view == "raw"]
    contrasts = list(dict.fromkeys(one.contrast for view in views for one in view.controls))
    made.append(
        PlainTable(
            f"{condition.name}: control arms, what centring leaves, 100% of the updates",
            ("contrast", *names),
            tuple((one, *(verdicts.get((one, *key), "–") for key in MAIN)) for one in contrasts),
            names=1 + len(names),
            notes=(f"{OFFSET} {EXPLORATORY}",),
        )
    )
    by_view = [(f"{view.percent}%", {one.contrast: one.effects for one in view.controls}) for view in views]
    made.append(
        PlainTable(
            f"{condition.name}: control arms at every checkpoint, raw",
            ("contrast", "updates", *names),
            tuple(
                (one, percent, *(gap(effects[one].get("/".join(key))) for key in MAIN))
                for one in contrasts
                for percent, effects in by_view
                if one in effects
            ),
            names=2,
            notes=(f"{EXPLORATORY} {CENTRED_ENDS}",),
        )
    )
    return made
