"""What a search for evaluation texts found, as tables."""

from __future__ import annotations

from xqr_bench.exposure import KINDS, Findings
from xqr_bench.exposure.findings import excerpt
from xqr_bench.report.plain import PlainTable
from xqr_bench.report.script import visible


def finding_tables(found: Findings, examples: int) -> list[PlainTable]:
    """Counts, counts of the languages in which something was found, and examples."""
    counts = found.counts()
    header = ("texts of the task", "number", "exactly", "nearly", "8 words in common", "not found")

    def cells(of: Findings, kind: str, language: str | None) -> tuple[str, ...]:
        one = of.counts(language)[kind]
        numbers = (one.total, one.exact, one.near, one.touched, one.total - one.exact - one.near - one.touched)
        return tuple(f"{number:,}" for number in numbers)

    tables = [
        PlainTable(
            f"{found.task} in {found.n_texts:,} texts",
            header,
            tuple((f"{kind}s", *cells(found, kind, None)) for kind in counts),
            notes=(
                f"Nearly: at least {found.near:.0%} of a text's runs of 8 words.",
                f"Languages: {', '.join(found.languages)}.",
            ),
        )
    ]
    touched = [
        (code, kind)
        for code in found.languages
        for kind in KINDS
        if any(hit.language == code and hit.kind == kind for hit in found.found)
    ]
    if touched:
        tables.append(
            PlainTable(
                "languages in which something was found",
                ("language", *header),
                tuple((code, f"{kind}s", *cells(found, kind, code)) for code, kind in touched),
                names=2,
            )
        )
    shown = found.examples(examples)
    if shown:
        tables.append(
            PlainTable(
                "examples, the best of each kind first",
                ("what", "overlap", "where", "text of the task", "there"),
                tuple(
                    (
                        f"{hit.kind} {hit.id}",
                        "exact" if hit.exact else f"{hit.overlap:.2f}",
                        hit.place,
                        visible(excerpt(found.texts[hit[:3]])),
                        visible(excerpt(hit.text)),
                    )
                    for hit in shown
                ),
                names=5,
            )
        )
    return tables
