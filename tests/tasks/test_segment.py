"""Paragraphs without sentences, cut by a library where the task file says so."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.kit import run
from xqr_bench import evaluate
from xqr_bench.core.errors import DataError, TaskError, UsageError
from xqr_bench.tasks import load_spec, load_task
from xqr_bench.tasks.segment import segmenter

pytestmark = pytest.mark.usefixtures("own_surroundings")

CONTEXT = "Café 🏠 opened.  It closed in 2009, then it burnt down.\nNobody knows why."


def at_stops(code: str, text: str) -> list[dict[str, int]]:
    """In place of the library: cuts behind each full stop, white space at the end of the sentence before."""
    assert code in ("de", "en")
    ends = [place + 1 for place, sign in enumerate(text) if sign == "."]
    ends = [next((at for at in range(end, len(text)) if not text[at].isspace()), len(text)) for end in ends]
    return [{"start_index": a, "end_index": b} for a, b in zip([0, *ends], ends, strict=False)]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", SimpleNamespace(get_sentence_boundaries=at_stops))  # type: ignore[misc]
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "9.9" if name == "sentencex" else version(name))


def write(folder: Path, *, key: str = 'segmenter = "sentencex"', form: str = "lareqa", **more: object) -> Path:
    for code in ("deu-Latn", "en"):
        answers = [{"text": "2009, then it burnt down.\nNobody", "answer_start": CONTEXT.index("2009")}]
        paragraph = {"context": CONTEXT, "qas": [{"id": "q", "question": f"{code}?", "answers": answers}], **more}
        data = {"data": [{"title": "Café", "paragraphs": [paragraph]}]}
        (folder / f"{code}.json").write_text(json.dumps(data), encoding="utf-8")
    (folder / "cut.toml").write_text(
        f'name = "cut"\nformat = "{form}"\n{key}\nlanguages = ["deu-Latn", "en"]\n'
        'files = { deu-Latn = { path = "deu-Latn.json" }, en = { path = "en.json" } }\n',
        encoding="utf-8",
    )
    return folder / "cut.toml"


@pytest.mark.usefixtures("library")
def test_the_relevant_sentence_is_that_in_which_the_answer_starts(tmp_path: Path) -> None:
    """Without the white space around it; the answer here runs on into the next."""
    data = load_task(write(tmp_path))
    sentences = ["Café 🏠 opened.", "It closed in 2009, then it burnt down.", "Nobody knows why."]
    assert [one.text for one in data.candidates] == sentences * 2
    assert data.relevants == ((1, 4), (1, 4))
    assert data.candidates[1].context == CONTEXT
    assert "3 candidates" in run("tasks", "check", str(tmp_path / "cut.toml")).out


@pytest.mark.usefixtures("library")
def test_the_record_names_it(tmp_path: Path) -> None:
    task = evaluate("char-ngrams", write(tmp_path), cache=False).task
    assert task.segmenter == "sentencex 9.9"
    assert evaluate("char-ngrams", "mini", languages=["de", "en"], cache=False).task.segmenter is None


@pytest.mark.usefixtures("library")
def test_sentences_of_the_file_stay(tmp_path: Path) -> None:
    own = {"sentences": [CONTEXT], "sentence_breaks": [[0, len(CONTEXT)]]}
    assert len(load_task(write(tmp_path, **own)).candidates) == 2


def test_without_the_key_or_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r'this is plain SQuAD: .*\n.*\n.*segmenter = "sentencex" to the task file'):
        load_task(write(tmp_path, key=""))
    monkeypatch.setitem(sys.modules, "sentencex", None)
    path = write(tmp_path)
    for asked in (lambda: load_task(path), lambda: segmenter("sentencex", "de")):
        with pytest.raises(
            UsageError, match=r"sentencex, which is not installed\n  to do: pip install 'xqr-bench\[segm"
        ):
            asked()


@pytest.mark.parametrize(
    ("key", "form", "message"),
    [
        ('segmenter = "nltk"', "lareqa", "segmenter: there is no segmenter named 'nltk'"),
        ('segmenter = "sentencex"', "squad", "segmenter: data of the format squad is not cut into sentences"),
    ],
)
def test_keys_that_make_no_sense(tmp_path: Path, key: str, form: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_spec(write(tmp_path, key=key, form=form))


def test_the_library_itself() -> None:
    pytest.importorskip("sentencex")
    for code, text in (("en", CONTEXT), ("zh-Hant", "它於1978年開業。它已關閉！"), ("hin-Deva", "यह खुला। यह बंद हुआ।")):
        spans = segmenter("sentencex", code)(text)
        assert len(spans) == text.count(".") + text.count("。") + text.count("！") + text.count("।")
        assert all(text[begin:end].strip() == text[begin:end] for begin, end in spans)
        assert "".join(text[begin:end] for begin, end in spans).replace(" ", "") == "".join(text.split())
