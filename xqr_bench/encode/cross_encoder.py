"""A CrossEncoder of sentence-transformers: scores of pairs of texts, each pair once, kept while the work goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xqr_bench.core.errors import EncoderError, located, pass_on_stops
from xqr_bench.core.files import atomic_path
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray
from xqr_bench.encode.batches import Shard, free_cache, out_of_memory, plan_shards
from xqr_bench.encode.bound import Lanes, cpu_lanes
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.hardware import computes_in, limits_of, safe_in_threads
from xqr_bench.encode.kinds import OtherModel
from xqr_bench.encode.options import EncoderOptions, ModelIdentity
from xqr_bench.encode.sentence_transformer import LOADED_ELSEWHERE, load_other, set_max_length
from xqr_bench.encode.shards import key_digest, library_versions, text_digest
from xqr_bench.encode.store import VectorStore

FOLLOWED = frozenset({*LOADED_ELSEWHERE, "batch_size", "token_budget", "name"})
SHARD_PAIRS = 8192
SHARD_TOKENS = 2**19
"""A run that is killed loses the scores of so many pairs at most."""
_MONOTONE = ("Identity", "Sigmoid", "Tanh", "LogSigmoid", "Softplus")


class TextPairs(NamedTuple):
    """Pairs of texts, each once.

    Attributes:
        queries, candidates: the distinct texts.
        left, right: which of them each pair is of, int64 `[pairs]`.
        name: what a pair is called in messages.
    """

    queries: Sequence[str]
    candidates: Sequence[str]
    left: IntArray
    right: IntArray
    name: Callable[[int], str]


class CrossEncoderModel:
    """A CrossEncoder with one score a pair.

    Attributes:
        name: the record's name.
        identity: what the scores depend on.
        device: where it runs.
        warnings: what a user should read beside the scores.
        hint: what a user should know before a long run; None: nothing.
        store: where scores are kept until their record is made, so that a run that is killed goes on; None: nowhere.
        cut: pairs that were longer than the model reads, of those scored since it was loaded; None: unknown.
    """

    hint: str | None = None

    def __init__(self, other: OtherModel, options: EncoderOptions) -> None:
        import torch

        options.refuse_all_but("a CrossEncoder", FOLLOWED)
        model, facts = load_other(other, options)
        labels = model.num_labels
        if labels != 1:
            raise EncoderError(
                f"{other.where} does not give a pair of texts one score to rank by",
                found=f"a classifier of {labels} labels (num_labels in config.json)",
                remedy="rank with a CrossEncoder of one label",
            )
        set_max_length(model, options.max_length)
        limit = model.max_seq_length
        prompt = None if model.default_prompt_name is None else model.prompts.get(model.default_prompt_name)
        dtype = getattr(model, "dtype", None)
        self.identity = ModelIdentity(
            kind="cross-encoder",
            name=facts["name"],
            revision=facts.get("revision"),
            digest=facts.get("digest"),
            base=facts.get("base"),
            query_prompt=prompt or None,
            max_length=limit if isinstance(limit, int) and limit <= 10**9 else None,
            dtype=None if dtype is None else str(dtype).removeprefix("torch."),
            similarity="none",
            model_kwargs=json.loads(json.dumps(dict(options.model_kwargs), default=str)),
            remote_code=options.trust_remote_code,
        )
        self.name = options.name or self.identity.name
        self.device = str(model.device)
        self.warnings: list[str] = list(facts["warnings"])
        self.store: VectorStore | None = None
        self._model, self._activation = model, model.activation_fn
        activation = type(model.activation_fn).__name__
        if activation in _MONOTONE and type(model.activation_fn).__module__.startswith("torch."):
            self._activation = torch.nn.Identity()
            if activation != "Identity":
                self.warnings.append(
                    f"ranked by the logits: the order is that of the scores behind the model's {activation}, which "
                    "tie where it is flat"
                )
        tokenizer = getattr(model[0], "tokenizer", None)
        self._tokenizer: Any = tokenizer if hasattr(tokenizer, "model_max_length") else None
        # a template puts more around a pair than anybody counts here
        self._exact = self._tokenizer is not None and not prompt and getattr(tokenizer, "chat_template", None) is None
        self.cut: int | None = 0 if self._exact and self.identity.max_length is not None else None
        self._limits = limits_of(options, model, measured=self._tokenizer is not None)
        self._lanes = Lanes()
        self._most: int | None = None
        self._scores: dict[str, Vectors] = {}
        if model.device.type == "cpu":
            if safe_in_threads(model):
                self._lanes = cpu_lanes()
            if not computes_in(self.identity.dtype or ""):
                self.hint = f"this processor does not compute in {self.identity.dtype}: scoring takes many times longer"

    @property
    def keeps(self) -> bool:
        """Whether scores are kept on disk while the work goes on: never those of a model that may have changed."""
        return self.store is not None and (self.identity.digest or self.identity.revision) is not None

    @property
    def kept(self) -> int:
        """Scores kept on disk for a run that goes on."""
        return sum(map(len, self._scores.values())) if self.keeps else 0

    def score(self, pairs: TextPairs, observe: Observer) -> Vectors:
        """Scores of pairs, float32 `[pairs]`, finite; the longest pairs first.

        Asked again for the same pairs it gives the same bits, and scores none of them again, until `forget`.

        Raises:
            EncoderError: the model failed, or gave what is no score; the pair is named.
        """
        lengths = self._lengths(pairs)
        limit = self.identity.max_length
        shards = plan_shards(
            np.arange(len(lengths)),
            lengths if limit is None else np.minimum(lengths, limit),
            self._limits,
            SHARD_PAIRS,
            SHARD_TOKENS,
        )
        digests = [
            np.frombuffer(b"".join(map(text_digest, texts)), dtype=np.uint8).reshape(len(texts), -1)
            for texts in (pairs.queries, pairs.candidates)
        ]
        scores = np.empty(len(lengths), dtype=np.float32)
        left = total = int(lengths.sum())
        with observe.phase("scoring pairs", len(lengths)):
            for shard in shards:
                where = np.concatenate(shard)
                packed = np.concatenate([digests[0][pairs.left[where]], digests[1][pairs.right[where]]], axis=1)
                name = hashlib.sha256(json.dumps([len(batch) for batch in shard]).encode() + packed.tobytes())
                scores[where] = self._of_shard(name.hexdigest()[:32], shard, pairs, lengths, observe)
                left -= int(lengths[where].sum())
                observe.ahead(left / total)
                observe.advance(len(where))
        if self.cut is not None and limit is not None:
            self.cut += int((lengths > limit).sum())
        return scores

    def _lengths(self, pairs: TextPairs) -> IntArray:
        """Tokens of each pair, or characters where tokens cannot be counted, int64 `[pairs]`."""
        if self._tokenizer is None:
            of_query, of_candidate = (
                np.array([len(text) for text in texts], dtype=np.int64) for texts in (pairs.queries, pairs.candidates)
            )
            return of_query[pairs.left] + of_candidate[pairs.right] + 1
        own = getattr(self._tokenizer, "num_special_tokens_to_add", lambda pair: 0)(True)
        counts = [
            np.array(
                [
                    len(row)
                    for start in range(0, len(texts), 2048)
                    for row in self._tokenizer(
                        list(texts[start : start + 2048]),
                        add_special_tokens=False,
                        truncation=False,
                        return_attention_mask=False,
                        verbose=False,
                    )["input_ids"]
                ],
                dtype=np.int64,
            )
            for texts in (pairs.queries, pairs.candidates)
        ]
        return np.asarray(counts[0][pairs.left] + counts[1][pairs.right] + own, dtype=np.int64)

    def _of_shard(self, name: str, shard: Shard, pairs: TextPairs, lengths: IntArray, observe: Observer) -> Vectors:
        """Scores of a shard, in its order: those kept, or new ones."""
        size = sum(map(len, shard))
        if name not in self._scores:
            there = self._read(name, size)
            if there is None:
                with closing(
                    self._lanes.map(lambda batch: self._of_batch(batch, pairs, lengths, observe), shard)
                ) as made:
                    there = np.concatenate(list(made))
                self._write(name, there, observe)
            self._scores[name] = there
        return self._scores[name]

    def _of_batch(self, batch: IntArray, pairs: TextPairs, lengths: IntArray, observe: Observer) -> Vectors:
        """Scores of one batch, halved when memory runs out; threads may call it together."""
        cost = len(batch) * int(lengths[batch].max())
        if len(batch) == 1 or self._most is None or cost <= self._most:
            both = zip(pairs.left[batch].tolist(), pairs.right[batch].tolist(), strict=True)
            try:
                returned = self._model.predict(
                    [[pairs.queries[left], pairs.candidates[right]] for left, right in both],
                    batch_size=len(batch),
                    show_progress_bar=False,
                    activation_fn=self._activation,
                )
                return self._checked(np.asarray(returned, dtype=np.float32), batch, pairs)
            except EncoderError:
                raise
            except BaseException as error:  # whatever a model raises
                pass_on_stops(error)
                if len(batch) == 1 or not out_of_memory(error):
                    raise EncoderError(
                        f"the CrossEncoder {self.name} failed on {len(batch):,} pairs",
                        found=located(error),
                        remedy="give a smaller batch_size or max_length"
                        if out_of_memory(error)
                        else f"score a pair alone to see why: {pairs.name(int(batch[0]))}",
                    ) from error
            free_cache()
            self._most = min(cost // 2, self._most or cost)
            observe.note(f"out of memory with {len(batch):,} pairs together: going on with half as many")
        halves = np.array_split(batch, 2)
        return np.concatenate([self._of_batch(half, pairs, lengths, observe) for half in halves])

    def _checked(self, scores: Vectors, batch: IntArray, pairs: TextPairs) -> Vectors:
        if scores.shape != (len(batch),):
            raise EncoderError(
                f"the CrossEncoder {self.name} did not give one score a pair",
                found=f"shape {scores.shape} for {len(batch):,} pairs",
            )
        wrong = np.flatnonzero(~np.isfinite(scores))
        if len(wrong):
            raise EncoderError(
                f"the CrossEncoder {self.name} gave a score that is not a finite number",
                found=f"{scores[wrong[0]]} for {pairs.name(int(batch[wrong[0]]))}; {len(wrong):,} of {len(batch):,} "
                "pairs of its batch",
                remedy="check its weights and its dtype: float16 overflows first",
            )
        return scores

    # Kept until the record is made. A shard is called by its pairs and batches, so that only the same request finds it.

    def _folder(self) -> Path | None:
        if not self.keeps or self.store is None:
            return None
        fields = {"kind", "name", "revision", "digest", "base", "query_prompt", "max_length", "dtype", "model_kwargs"}
        key = self.identity.model_dump(mode="json", include=fields)
        device, activation = self.device.partition(":")[0], type(self._activation).__name__
        key |= {"device": device, "activation": activation, "libraries": library_versions()}
        return self.store.folder / "pairs" / key_digest(key)

    def _read(self, name: str, size: int) -> Vectors | None:
        """Scores of a shard that an earlier run left; None: there are none, or they are damaged."""
        folder = self._folder()
        with suppress(OSError):
            content = b"" if folder is None else (folder / name).read_bytes()
            scores, check = content[: 4 * size], content[4 * size :]
            if len(scores) == 4 * size and check == hashlib.sha256(scores).digest():
                return np.frombuffer(scores, dtype="<f4").astype(np.float32)
        return None

    def _write(self, name: str, scores: Vectors, observe: Observer) -> None:
        folder = self._folder()
        if folder is None:
            return
        content = scores.astype("<f4").tobytes()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content + hashlib.sha256(content).digest())
        except OSError as error:
            observe.note(f"the scores of pairs cannot be kept, a run that is stopped begins again: {error}")
            self.store = None

    def forget(self) -> None:
        """Remove what was kept: the record of these pairs is made."""
        folder = self._folder()
        for name in self._scores if folder is not None else ():
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)  # type: ignore[operator]
        self._scores = {}
        if folder is not None:
            with suppress(OSError):  # it holds those of another run
                folder.rmdir()
