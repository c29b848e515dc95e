"""Names in every script are drawn, or it is told once that they are not; no warning of the library leaks."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from matplotlib import font_manager, ft2font
from matplotlib.text import Text

from xqr_bench.core.observe import Notice
from xqr_bench.report.canvas import OWN_FONT, drawing, named_rows, save

NAMES = {
    "Chinese": "多语模型",
    "Japanese": "モデル",
    "Korean": "모형",
    "Thai": "แบบจำลอง",
    "Arabic": "نموذج",
}


def drawn(name: str, path: Path) -> tuple[list[str], list[str]]:
    """The families of the text that holds the name, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught, drawing(1.0) as (figure, axes):
        warnings.simplefilter("always")
        named_rows(axes[0, 0], [0], [name], 3)
        axes[0, 0].set_title("plain")
        save(figure, path)
    texts = {text.get_text(): text.get_fontfamily() for text in figure.findobj(Text)}
    assert texts["plain"] == [OWN_FONT]
    assert all(issubclass(one.category, Notice) for one in caught)
    return texts[name], [str(one.message) for one in caught]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_a_name_is_drawn_or_told(name: str, form: str, tmp_path: Path) -> None:
    families, told = drawn(name, tmp_path / f"plot.{form}")
    fonts = [font_manager.get_font(font_manager.findfont(family)) for family in families]
    undrawn = sorted({sign for sign in name if not any(font.get_char_index(ord(sign)) for font in fonts)})
    assert len(told) == bool(undrawn)
    assert all(sign in told[0] for sign in undrawn)


def test_without_a_font_it_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    families, told = drawn("ก模ก", tmp_path / "plot.png")
    assert families == [OWN_FONT]
    assert told == [
        f"no font of this machine has ก 模: a box stands for each in {tmp_path / 'plot.png'}; install Noto Sans Thai, "
        "Noto Sans CJK SC (Debian and Ubuntu: fonts-noto-cjk, fonts-noto-core), and draw it again"
    ]


def test_a_damaged_font_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "NotoSans-Regular.ttf"
    bad.write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(bad)])
    assert drawn("模", tmp_path / "plot.png")[1]


def test_plain_names_look_for_no_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", None)
    assert drawn("Ελληνικά, русский, a-name", tmp_path / "plot.png") == ([OWN_FONT], [])


@pytest.mark.parametrize("name", [NAMES["Arabic"], "मॉडल"], ids=["Arabic", "Hindi"])
def test_letters_that_must_be_shaped_are_drawn_so_or_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of matplotlib since 3.11, which has libraqm, or a line that says so."""
    path = tmp_path / "plot.png"
    if hasattr(ft2font, "__libraqm_version__"):
        assert not [line for line in drawn(name, path)[1] if "matplotlib" in line]
        monkeypatch.delattr(ft2font, "__libraqm_version__")
    (told,) = [line for line in drawn(name, path)[1] if "matplotlib" in line]
    assert name in told
    assert "install matplotlib 3.11 or later" in told
    assert not [line for line in drawn("Ελληνικά 中文", path)[1] if "3.11" in line]
