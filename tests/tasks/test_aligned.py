"""Text aligned by line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from xqr_bench import evaluate
from xqr_bench.core.errors import DataError, TaskError
from xqr_bench.core.observe import Notice
from xqr_bench.report.results import results
from xqr_bench.tasks import DataFile, SourceCandidate, load_spec, load_task
from xqr_bench.tasks.readers import aligned

pytestmark = pytest.mark.usefixtures("own_surroundings")

TASK = """
name = "news"
format = "aligned"
languages = ["de", "en"]
settings = ["cross-lingual"]
metrics = ["map", "success@1"]

[files.de]
text = { path = "de.txt" }
documents = { path = "documents.tsv" }

[files.en]
text = { path = "en.txt" }
documents = { path = "documents.tsv" }
"""


def write(folder: Path, task: str = TASK) -> Path:
    (folder / "de.txt").write_bytes("\ufeffDas Haus, \u2028alt.\r\nDer Fluss.\r\nDer Regen.\r\n".encode())
    (folder / "en.txt").write_text("The house, old.\nThe river.\nThe rain.\n", encoding="utf-8")
    (folder / "documents.tsv").write_text("a\na\nb\n", encoding="utf-8")
    (folder / "news.toml").write_text(task, encoding="utf-8")
    return folder / "news.toml"


def test_a_line_is_a_question_and_a_candidate(tmp_path: Path) -> None:
    data = load_task(write(tmp_path))
    texts = ["Das Haus, \u2028alt.", "Der Fluss.", "Der Regen.", "The house, old.", "The river.", "The rain."]
    assert [query.text for query in data.queries] == texts
    assert [candidate.text for candidate in data.candidates] == texts
    assert data.relevants == ((0, 3), (1, 4), (2, 5)) * 2
    assert data.clusters == (0, 0, 1) * 2


def test_scored_across_languages_only(tmp_path: Path) -> None:
    record = evaluate("char-ngrams", write(tmp_path))
    assert set(record.scores) == {"cross-lingual"}
    assert set(record.scores["cross-lingual"].by_language_pair) == {"de>en", "en>de"}
    printed = io.StringIO()
    Console(file=printed).print(results([record]))
    assert "success@1" in printed.getvalue()
    assert "bias (multilingual)" not in printed.getvalue()  # no table without rows
    with pytest.raises(TaskError, match="cannot be scored in every setting") as caught:
        load_spec(write(tmp_path, TASK.replace('["cross-lingual"]', '["cross-lingual", "multilingual"]')))
    assert 'write settings = ["cross-lingual"]' in str(caught.value)


def test_documents_may_be_left_out(tmp_path: Path) -> None:
    task = TASK.replace('documents = { path = "documents.tsv" }\n', "")
    assert load_task(write(tmp_path, task)).clusters == (0, 1, 2) * 2


def test_lines_without_text_are_left_out_and_counted(tmp_path: Path) -> None:
    task = write(tmp_path)
    (tmp_path / "de.txt").write_text("Das Haus.\n\u200b\nDer Regen.\n", encoding="utf-8")
    with pytest.warns(Notice, match="^news, de: 1 lines without text are left out, such as line 2$"):
        data = load_task(task)
    assert [query.id for query in data.queries] == ["de:0", "de:2", "en:0", "en:1", "en:2"]
    assert data.relevants == ((0, 2), (1, 4), (0, 2), (3,), (1, 4))
    source = aligned.read(DataFile("de.txt", b" One. \n\n"))
    assert (source.candidates, source.lines) == ((SourceCandidate("0", "One."),), 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("de.txt", b"Eins.\nZwei.\n", "documents.tsv: not as many lines as"),
        ("documents.tsv", b"a\n", "documents.tsv: not as many lines as"),
        ("de.txt", b"Das Haus.\nDer Flu\xdf.\nDer Regen.\n", "de.txt, line 2: not UTF-8 text"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    task = write(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_task(task)


def test_languages_of_different_lengths(tmp_path: Path) -> None:
    task = write(tmp_path, TASK.replace('documents = { path = "documents.tsv" }\n', ""))
    (tmp_path / "en.txt").write_text("The house.\nThe river.\n", encoding="utf-8")
    with pytest.raises(DataError, match="the task news has files of different numbers of lines") as caught:
        load_task(task)
    assert "de 3, en 2" in str(caught.value)


def test_pairs_without_text_are_left_out_and_counted() -> None:
    text, translation = b"Eins.\n\nDrei.\nVier.\n", "One.\nTwo.\n\u200b\nFour.\n".encode()
    source = aligned.read_pairs(DataFile("de.txt", text), DataFile("de.en.txt", translation))
    assert [(one.id, one.text) for one in source.questions] == [("0", "Eins."), ("3", "Vier.")]
    assert [(one.id, one.text) for one in source.candidates] == [("0", "One."), ("3", "Four.")]
    assert [one.gains for one in source.questions] == [{0: 1.0}, {1: 1.0}]
    assert source.notes == ("2 lines without text are left out, such as line 2",)
    with pytest.raises(DataError, match=r"de\.en\.txt: not as many lines as de\.txt") as caught:
        aligned.read_pairs(DataFile("de.txt", text), DataFile("de.en.txt", b"One.\n"))
    assert "line n is the translation of line n" in str(caught.value)
