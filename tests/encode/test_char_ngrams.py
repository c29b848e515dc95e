"""The built-in encoder: fixed by its definition, light, and never at a loss."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

from tests.encode.toys import TOY
from tests.kit import make_task
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.encode.char_ngrams import CharNgrams


def literally(text: str) -> np.ndarray:
    """The definition, n-gram by n-gram, for a text of plain small letters."""
    grams: Counter[int] = Counter()
    for word in text.split():
        padded = f" {word} "
        for n in (2, 3, 4):
            for start in range(max(len(padded) - n + 1, 0)):
                # abs, as scikit-learn has it: the sign of the hash is the sign of the count, which is not used
                grams[abs(murmurhash3_32(padded[start : start + n], seed=0)) % 2048] += 1
    vector = np.zeros(2048)
    for column, count in grams.items():
        vector[column] = 1 + np.log(count)
    return vector


@pytest.mark.parametrize("text", ["the town", "banana banana banana", "北京在哪里", "x"])
def test_it_is_what_its_definition_says(text: str) -> None:
    np.testing.assert_allclose(CharNgrams().encode([text])[0], literally(text), rtol=1e-6)


def test_width_case_and_ligatures_do_not_matter() -> None:
    a, b, c, d = CharNgrams().encode(["ＡＢＣ straße", "abc STRASSE", "ﬁne", "Fine"])
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(c, d)


def test_a_vector_depends_on_its_text_alone() -> None:
    texts = [item.text for item in (*TOY.queries, *TOY.candidates)]
    together = CharNgrams().encode(texts)
    alone = np.concatenate([CharNgrams().encode([text]) for text in texts])
    np.testing.assert_array_equal(together, alone)


def test_single_characters_have_vectors_and_nothing_is_truncated() -> None:
    task = make_task({"en": ["1"], "zh": ["德"]}, {"en": ['"', "."], "zh": ["。", "x" * 5000]})
    bound = load_encoder("char-ngrams")
    found = embed_tasks(bound, [task])["toy"]
    assert found.zero_candidates == found.zero_queries == {}
    assert found.truncated == {language: {"queries": 0, "candidates": 0} for language in ("en", "zh")}
    assert (bound.name, bound.symmetric, bound.similarity, bound.warnings) == ("char-ngrams", True, "cosine", [])
    identity = bound.identity
    assert (identity.kind, identity.revision, identity.dimensions) == ("builtin", "1", 2048)


def test_the_right_sentence_is_the_nearest() -> None:
    found = embed_tasks(load_encoder("char-ngrams"), [TOY])["toy"]
    q, c = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (found.queries, found.candidates))
    assert (q @ c.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from tests.encode.toys import TOY; from xqr_bench.encode import embed_tasks, load_encoder;"
        "embed_tasks(load_encoder('char-ngrams'), [TOY]);"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
