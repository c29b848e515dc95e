"""Tokens of texts, counted once for the batches and for what the tokenizer does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xqr_bench.encode.protocol import Role

MOST_REMEMBERED = 200_000


class TokenCounts:
    """Counts with the tokenizer of a sentence-transformers model.

    Texts without a prompt that were counted for the batches are not read by the tokenizer again for their unknown
    tokens: up to `MOST_REMEMBERED` of them are remembered.

    Args:
        tokenizer: of transformers.
        prompts: put before the texts of each role.
    """

    def __init__(self, tokenizer: Any, prompts: Mapping[Role, str]) -> None:
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._unknown: int | None = tokenizer.unk_token_id if hasattr(tokenizer, "unk_token_id") else None
        self._remembered: dict[str, tuple[int, int]] = {}

    def measure(self, role: Role, texts: list[str]) -> list[int]:
        """Tokens of each text, special ones and prompt included, before the model cuts any off."""
        prompt = self._prompts[role]
        # only a fast tokenizer tells the tokens that it put around the text from those it read
        remember = not prompt and getattr(self._tokenizer, "is_fast", False)
        encoded = self._encoded([prompt + text for text in texts], return_special_tokens_mask=remember)
        ids = encoded["input_ids"]
        if remember and len(self._remembered) + len(texts) <= MOST_REMEMBERED:
            for text, row, mask in zip(texts, ids, encoded["special_tokens_mask"], strict=True):
                self._remembered[text] = (len(row) - sum(mask), self._unknown_in(row, mask))
        return [len(row) for row in ids]

    def unknown(self, texts: list[str]) -> tuple[list[int], list[int]]:
        """Tokens of each text alone, and those that are the tokenizer's token for what it does not know."""
        missing = [text for text in texts if text not in self._remembered]
        found = dict[str, tuple[int, int]]()
        if missing:
            rows = self._encoded(missing, add_special_tokens=False)["input_ids"]
            found = {text: (len(row), self._unknown_in(row)) for text, row in zip(missing, rows, strict=True)}
        counts = [found[text] if text in found else self._remembered[text] for text in texts]
        return [tokens for tokens, _ in counts], [unknown for _, unknown in counts]

    def _unknown_in(self, row: list[int], special: list[int] | None = None) -> int:
        if self._unknown is None or self._unknown not in row:  # None: there is no such token, every text can be spelled
            return 0
        if special is None:
            return row.count(self._unknown)
        return sum(token == self._unknown and not mark for token, mark in zip(row, special, strict=True))

    def _encoded(self, texts: list[str], **options: Any) -> Any:
        return self._tokenizer(
            texts, truncation=False, return_attention_mask=False, return_token_type_ids=False, verbose=False, **options
        )
