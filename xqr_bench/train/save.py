"""A trained model on disk: a sentence-transformers folder with its training record and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xqr_bench.progress import library_bars_hidden
from xqr_bench.record.training import Stage, TrainingRecord, save_training


def save_model(model: Any, record: TrainingRecord, folder: Path) -> Path:
    """Save a model, its record and its card.

    Args:
        model: a SentenceTransformer.
        record: how it was made.
        folder: made where it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with library_bars_hidden():
        model.save_pretrained(str(folder), create_model_card=False)
    (folder / "README.md").write_text(card(record), encoding="utf-8", newline="\n")
    save_training(record, folder)
    return folder


def card(record: TrainingRecord) -> str:
    """What the model is, in Markdown. Nothing in it depends on when or where the model was made."""
    languages = record.languages
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "language:",
        *(f"- {code}" for code in languages.trained + languages.aligned_only),
        "---",
        "",
        "# A retrieval encoder trained with a given batch ratio",
        "",
        f"Made by `xqr-bench train` from `{record.base.name}`, recipe `{record.recipe['name']}`, seed {record.seed}.",
        "",
    ]
    for title, stage in (("Alignment", record.alignment), ("Training", record.training)):
        if stage is not None:
            lines.append(f"- {title}: {_sentence(stage)}")
    lines += [
        f"- Trained languages: {', '.join(languages.trained) or 'none'}; "
        f"aligned only: {', '.join(languages.aligned_only) or 'none'}.",
        f"- Put before each query: `{record.recipe['query_prompt']}`; before each passage: "
        f"`{record.recipe['passage_prompt']}` (`encode_query` and `encode_document` do).",
        "",
        "`xqr_bench_training.json` holds all of it; `xqr-bench evaluate` puts it into its records.",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("this/folder")',
        'queries, passages = model.encode_query(["..."]), model.encode_document(["..."])',
        "scores = model.similarity(queries, passages)",
        "```",
        "",
    ]
    return "\n".join(lines)


def _sentence(stage: Stage) -> str:
    names = ", ".join(f"{data.name} ({data.questions:,} questions)" for data in stage.data)
    rows = stage.statistics["rows"]
    ratio = stage.statistics["ratio_rows"]
    return (
        f"{names}; plan `{stage.strategy}`, {ratio:.1%} of the rows in one language; {stage.updates:,} updates, "
        f"{rows:,} rows."
    )
