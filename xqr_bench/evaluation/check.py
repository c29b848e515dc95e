"""A rehearsal of a run: what an encoder does with texts, looked at before anything is scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError, code_of_others
from xqr_bench.core.languages import language
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import Candidate, Query, TaskData
from xqr_bench.encode import Embeddings, EncoderOptions, ModelIdentity, embed_tasks, in_context
from xqr_bench.encode.bound import BoundEncoder, TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.precomputed import Precomputed
from xqr_bench.encode.stored import TOLERANCE, TOLERANCES
from xqr_bench.encode.texts import items_of
from xqr_bench.evaluation.evaluate import opened
from xqr_bench.evaluation.vectors import VectorRanker, distinct_texts
from xqr_bench.rank.product import unit_vectors
from xqr_bench.record.describe import language_diagnostics
from xqr_bench.tasks import Selection, locate, resolve_task

Status = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what, in a word or two.
        status: "problem": scores would be wrong, or there would be none; "note": something to know.
        found: what was seen.
        remedy: what to do next; None: nothing.
    """

    about: str
    status: Status
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class EncoderCheck:
    """What a rehearsal found.

    Attributes:
        name: of the records that a run would make.
        identity: what their vectors depend on, as the records would hold it.
        findings: in the order in which they were made.
    """

    name: str
    identity: ModelIdentity
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that would make scores wrong, or end a run."""
        return tuple(finding for finding in self.findings if finding.status == "problem")


# language -> two sentences, in scripts that the embedded task does not have
SENTENCES = {
    "am": ("ዛሬ ባሕሩ ሰማያዊ ነው።", "ሌሊት በረዶ ጣለ።"),
    "bn": ("আজ সমুদ্র নীল।", "রাতে তুষার পড়েছিল।"),
    "he": ("הים כחול היום.", "בלילה ירד שלג."),
    "hy": ("Այսօր ծովը կապույտ է։", "Գիշերը ձյուն տեղաց։"),
    "ja": ("今日の海は青いです。", "夜に雪が降りました。"),
    "ka": ("დღეს ზღვა ლურჯია.", "ღამით თოვლი მოვიდა."),
    "ko": ("오늘 바다는 파랗다.", "밤에 눈이 내렸다."),
    "ta": ("இன்று கடல் நீலமாக உள்ளது.", "இரவில் பனி பெய்தது."),
}
ENDS = ("The end of it is blue.", "Nobody came home that night.")
"""How two long texts end that begin alike."""
WORDS, MOST_TOKENS = 3000, 2048
"""Words of a long text where the limit is unknown; the largest limit that is tried out."""
XQUAD_R = 2_750_297
"""Characters of the distinct texts of xquad-r."""
LEAST_KNOWN = 0.95


def check_encoder(
    model: object, options: EncoderOptions | None = None, *, observe: Observer | None = None
) -> EncoderCheck:
    """Rehearse what a run would do with an encoder, on some texts of the embedded task and sentences in more scripts.

    Args:
        model: whatever `load_encoder` takes. Of vectors made before, the tasks whose data is here are looked at.
        options: how to load and use it.
        observe: hears how far the work is.

    Raises:
        UsageError: it is no encoder, or does not give one dense vector a text.
        XqrBenchError: it cannot be loaded.
    """
    observe = observe or Observer()
    with opened(model, options) as ranker:
        encoder = ranker.encoder if isinstance(ranker, VectorRanker) else None
        if isinstance(encoder, TextEncoder):
            findings = _Rehearsal(encoder, observe).findings()
        elif isinstance(encoder, Precomputed):
            findings = _made_before(encoder, observe)
        else:
            raise UsageError(
                f"{ranker.name} does not give a text one dense vector: a rehearsal has nothing to look at",
                found=f"kind {ranker.identity.kind}",
                remedy="score it on the embedded task: xqr-bench evaluate MODEL --limit 4",
            )
        return EncoderCheck(ranker.name, ranker.identity, tuple(findings))


def _texts() -> TaskData:
    """Two questions of the embedded task in each language, and `SENTENCES` as queries and candidates."""
    few = Selection(limit=2).load(resolve_task("mini"))
    made = [(code, number, text) for code, texts in SENTENCES.items() for number, text in enumerate(texts)]
    queries = [Query(f"{code}:made{number}", code, f"made{number}", text) for code, number, text in made]
    candidates = [
        Candidate(f"{code}:made:{number}", code, text, context=" ".join(SENTENCES[code])) for code, number, text in made
    ]
    places = range(len(few.candidates), len(few.candidates) + len(made))
    return replace(
        few,
        languages=(*few.languages, *SENTENCES),
        queries=(*few.queries, *queries),
        candidates=(*few.candidates, *candidates),
        relevants=(*few.relevants, *((place,) for place in places)),
        clusters=(*few.clusters, *(0 for _ in made)),
        relevance=(),
        echoes=None,
    )


@dataclass(frozen=True)
class _Difference:
    """How far scores of the same texts differ (dot products: of the largest), and of how many queries ranks move."""

    moved: float
    queries: int
    of: int

    def __str__(self) -> str:
        return f"scores differ by up to {self.moved:.1g}, ranks move for {self.queries} of {self.of} queries"


class _Rehearsal:
    """What an encoder of texts does with them."""

    def __init__(self, encoder: TextEncoder, observe: Observer) -> None:
        self.encoder, self.observe = encoder, observe
        self.task = _texts()
        self.placed = in_context(self.task, encoder.identity.candidate_context)
        self.tolerance = TOLERANCES.get(encoder.identity.dtype or "", TOLERANCE)
        # of each language the last query and candidate
        last = {role: {item.language: item.text for item in items_of(self.placed, role)} for role in ROLES}
        self.few: dict[Role, list[str]] = {role: list(texts.values()) for role, texts in last.items()}
        self.english = {role: texts["en"] for role, texts in last.items()}

    def findings(self) -> list[Finding]:
        """All findings, as far as the first texts have vectors."""
        findings = [self.recognised()]
        with self.observe.phase("rehearsing", 3):
            try:
                findings += self.sent()
                self.observe.advance(1)
                once, again = (
                    embed_tasks(self.encoder, [self.task], allow_zero_vectors=True)[self.task.name] for _ in range(2)
                )
                self.observe.advance(1)
            except EncoderError as error:
                return [*findings, Finding("vectors", "problem", error.fault, error.remedy), *_record(self.encoder)]
            findings += [*_vectors("vectors", once, self.encoder), self.determinism(once, again)]
            if findings[-1].status != "problem":  # else nothing can be told from what differs each time
                findings += self.independence()
            findings += [self.cut_off(once), self.empty(), *self.languages(once), self.roles(), self.speed(again)]
            self.observe.advance(1)
        return [*findings, *_record(self.encoder)]

    def encode(self, role: Role, texts: list[str]) -> Vectors:
        """Vectors of texts in one call, float32 `[texts, d]`.

        Raises:
            EncoderError: it fails.
        """
        encode = self.encoder.encode_queries if role == "query" else self.encoder.encode_candidates
        with code_of_others(f"{self.encoder.name} fails on {len(texts)} texts", "encode them alone to see why"):
            return encode(texts)

    def recognised(self) -> Finding:
        """As what it was recognised, and which methods are called."""
        identity, called = self.encoder.identity, dict(self.encoder.called)
        methods = " and ".join(dict.fromkeys(called.values())) if called else "its own method"
        of = identity.revision or identity.digest
        version = f" ({of[:12]})" if of else ""
        return Finding("model", "ok", f"{identity.kind}: {identity.name}{version}, read by {methods}")

    def sent(self) -> list[Finding]:
        """The strings that reach the model, and on which side it is padded."""
        english = self.english
        strings = {role: self.encoder.prompt(role) + english[role] for role in ROLES}
        model = getattr(self.encoder, "model", None)
        findings = []
        if model is not None:
            for role in ROLES:
                strings[role] = _read(model, partial(self.encode, role, [english[role]])) or strings[role]
            findings.append(_padding(model, partial(self.encode, "query", self.few["query"])))
        without = model is not None and not any(map(self.encoder.prompt, ROLES))
        remedy = "some models want prompts that they do not declare, such as E5: see its page" if without else None
        status: Status = "note" if without else "ok"
        return [
            Finding("sent: query", status, strings["query"], remedy),
            Finding("sent: candidate", "ok", strings["candidate"]),
            *findings,
        ]

    def determinism(self, once: Embeddings, again: Embeddings) -> Finding:
        """Whether the same texts in the same batches have the same vectors."""
        if np.array_equal(once.queries, again.queries) and np.array_equal(once.candidates, again.candidates):
            return Finding("determinism", "ok", "the same texts twice: the same bits")
        difference = self.difference(once.queries, once.candidates, again.queries, again.candidates)
        found = f"the same texts twice: {difference}"
        if difference.moved <= self.tolerance:
            return Finding("determinism", "note", found)
        return Finding("determinism", "problem", found, "switch dropout and sampling off, such as by model.eval()")

    def difference(self, *vectors: Vectors) -> _Difference:
        """How far scores differ; vectors of queries and candidates, then of the same ones made in another way."""
        cosine = self.encoder.similarity == "cosine"
        q1, c1, q2, c2 = ((unit_vectors(one) if cosine else one).astype(np.float64) for one in vectors)
        first, second = q1 @ c1.T, q2 @ c2.T
        largest = 1.0 if cosine else float(np.abs(first).max()) or 1.0
        moved = float(np.abs(first - second).max()) / largest
        orders = (np.argsort(-scores, axis=1, kind="stable") for scores in (first, second))
        other = int(np.not_equal(*orders).any(axis=1).sum())
        return _Difference(np.inf if np.isnan(moved) else moved, other, len(first))

    def independence(self) -> list[Finding]:
        """Whether a text's vector depends on the texts beside it, or on where it stands among them."""
        long = [" ".join(self.few["query"])]  # all the others are padded to it

        def mixed(role: Role) -> Vectors:
            return self.encode(role, [*self.few[role], *long])[:-1]

        def turned(role: Role) -> Vectors:
            return self.encode(role, [*self.few[role], *long][::-1])[::-1][:-1]

        def alone(role: Role) -> Vectors:
            return np.concatenate([self.encode(role, [text]) for text in self.few[role]])

        def longest(role: Role) -> Vectors:  # not padded itself
            return np.concatenate([self.encode(role, [text, "."])[:1] for text in self.few[role]])

        together, single = ([make(role) for role in ROLES] for make in (mixed, alone))
        by_batch = self.difference(*together, *single)
        by_order = self.difference(*together, *map(turned, ROLES))
        if by_order.moved > self.tolerance:
            remedy = "return the rows in the order of the texts, and keep nothing from one call to the next"
            return [Finding("order", "problem", f"in reversed order: {by_order}", remedy)]
        if by_batch.moved > self.tolerance:
            if self.difference(*single, *map(longest, ROLES)).moved > self.tolerance:
                cause, remedy = "a text is read by those beside it", "take out what normalises over the batch"
            else:
                cause = "padding is read as if it were text"
                remedy = "use the attention mask, pool the last token that is no padding, look at padding_side"
            return [Finding("batch", "problem", f"alone or among others: {by_batch}: {cause}", remedy)]
        worse = max(by_batch, by_order, key=lambda one: (one.queries, one.moved))
        found = f"alone, among others, in reversed order: {worse}"
        return [Finding("batch and order", "note" if worse.queries else "ok", found)]

    def cut_off(self, vectors: Embeddings) -> Finding:
        """Whether texts that are too long are cut off, and told."""
        limit = self.encoder.identity.max_length
        told = f"limit {limit} tokens" if limit else "no limit known"
        if cut := sum(sum(of_role.values()) for of_role in (vectors.truncated or {}).values()):
            remedy = "raise --max-length, where the model can read more"
            return Finding("truncation", "note", f"{told}: {cut} of these short texts are cut off", remedy)
        if limit is not None and limit > MOST_TOKENS:
            return Finding("truncation", "ok", f"{told}: too many to try out")
        words = (limit or WORDS) + 8
        long = ["word " * words + end for end in ENDS]
        try:
            first, second = self.encode("candidate", long)
            counts, asked = self.encoder.measure("candidate", long), self.encoder.truncated("candidate", long)
        except EncoderError as error:
            return Finding("truncation", "note", f"{told}; a text of {words} words fails: {error.found}")
        reported = all(asked) if asked is not None else counts is not None and limit is not None and min(counts) > limit
        tried = f"{told}; two texts of {words} words that begin alike have"
        if np.linalg.norm(first - second) > 1e-5 * np.linalg.norm(first):
            return Finding("truncation", "note" if reported else "ok", f"{tried} different vectors")
        if reported:
            return Finding("truncation", "ok", f"{tried} one vector, and are reported as cut off")
        remedy = "give the encoder truncated(texts), so that the record counts them"
        return Finding("truncation", "note", f"{tried} one vector, and are not reported as cut off", remedy)

    def empty(self) -> Finding:
        """What becomes of texts without a word, which no shipped task has."""
        faults: dict[str, dict[str, None]] = defaultdict(dict)
        for text in ("", " ", "\n"):
            for role in ROLES[: 1 if self.encoder.symmetric else 2]:
                try:
                    vector = self.encode(role, [text])
                except EncoderError as error:
                    faults[f"fails ({error.found})"][repr(text)] = None
                    continue
                if not np.isfinite(vector).all():
                    faults["gives NaN or infinite numbers"][repr(text)] = None
                elif not vector.any():
                    faults["gives a vector of zeros"][repr(text)] = None
        if not faults:
            return Finding("empty texts", "ok", "nothing and white space have vectors like any text")
        found = "; ".join(f"{', '.join(texts)} {fault}" for fault, texts in faults.items())
        return Finding("empty texts", "note", f"{found}: a run with such a text would stop")

    def languages(self, vectors: Embeddings) -> list[Finding]:
        """Which languages it tells apart, and which scripts it has tokens for."""
        said = language_diagnostics(self.task, vectors, self.encoder)
        alike = [code for code, one in said.items() if one.candidates and one.candidates.vectors < one.candidates.texts]
        tokens: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for code, one in said.items():
            for texts in (one.queries, one.candidates):
                if texts is not None and texts.tokens is not None:
                    row = language(code)
                    of_script = tokens[row.script if row is not None else code]
                    of_script[0] += texts.tokens
                    of_script[1] += texts.unknown_tokens or 0
        findings = [Finding("distinct texts", "ok", f"in {len(said)} languages each text has its own vector")]
        if len(alike) == len(said):
            remedy = "check what the encoder does with its texts"
            findings = [
                Finding(
                    "distinct texts", "problem", "different texts have one vector, or nearly, in every language", remedy
                )
            ]
        elif alike:
            found = f"different texts have one vector, or nearly, in {', '.join(alike)}: its scores there say little"
            findings = [Finding("distinct texts", "note", found)]
        if not tokens:
            return [*findings, Finding("unknown tokens", "ok", "not known: its tokens cannot be counted")]
        lacking = {
            script: bad / max(1, all_) for script, (all_, bad) in tokens.items() if bad > (1 - LEAST_KNOWN) * all_
        }
        if not lacking:
            return [*findings, Finding("unknown tokens", "ok", f"less than 5% in each of {len(tokens)} scripts")]
        shares = ", ".join(f"{script} {share:.0%}" for script, share in lacking.items())
        return [*findings, Finding("unknown tokens", "note", f"{shares} of its tokens: its scores there say little")]

    def roles(self) -> Finding:
        """Whether queries and candidates are encoded alike."""
        if self.encoder.symmetric:
            return Finding("roles", "ok", "queries and candidates alike: a text that is both is encoded once")
        as_query, as_candidate = (unit_vectors(self.encode(role, self.few["query"])) for role in ROLES)
        least = float((as_query * as_candidate).sum(axis=1).min())
        return Finding(
            "roles", "ok", f"queries and candidates differ: a text as both has a cosine of {least:.3f} or more"
        )

    def speed(self, vectors: Embeddings) -> Finding:
        """Texts a second, and what that means for XQuAD-R."""
        seconds = max(vectors.seconds["encoding"], 1e-6)
        whole = XQUAD_R * seconds / sum(map(len, distinct_texts(self.placed)))
        time = f"{whole:.0f} s" if whole < 90 else f"{whole / 60:.0f} min"
        found = f"{vectors.distinct_texts / seconds:,.0f} texts a second; by characters xquad-r takes about {time}"
        return Finding("speed", "ok", found)


def _features(model: Any, encode: Callable[[], object]) -> list[tuple[list[int], list[bool]]]:
    """Tokens and attention mask of each text that a SentenceTransformer reads while it encodes."""
    rows: list[tuple[list[int], list[bool]]] = []

    def look(_: object, given: tuple[Any, ...]) -> None:
        features = given[0] if given and isinstance(given[0], Mapping) else {}
        if "input_ids" in features and "attention_mask" in features:
            rows.extend(zip(features["input_ids"].tolist(), features["attention_mask"].bool().tolist(), strict=True))

    hook = model[0].register_forward_pre_hook(look)
    try:
        encode()
    finally:
        hook.remove()
    return rows


def _read(model: Any, encode: Callable[[], object]) -> str:
    """What it reads of one text, special tokens included; empty where that cannot be seen."""
    decode = getattr(getattr(model, "tokenizer", None), "decode", None)
    rows = _features(model, encode) if decode is not None else []
    tokens = [token for token, read in zip(*rows[0], strict=True) if read] if rows else []
    return str(decode(tokens)) if decode is not None and tokens else ""


def _padding(model: Any, encode: Callable[[], object]) -> Finding:
    """On which side texts of several lengths are padded, and what is pooled."""
    masks = [mask for _, mask in _features(model, encode)]
    sides = [side for side, place in (("left", 0), ("right", -1)) if any(not mask[place] for mask in masks if mask)]
    modes = [str(module.pooling_mode) for module in model if hasattr(module, "pooling_mode")]
    pooled = f"; {' and '.join(modes)} pooling" if modes else ""
    return Finding("padding", "ok", (f"on the {' and '.join(sides)}" if sides else "none seen") + pooled)


def _vectors(about: str, vectors: Embeddings, encoder: BoundEncoder) -> list[Finding]:
    """Dimensions and type, the lengths of the vectors, and those of only zeros."""
    findings = []
    if zeros := sum(vectors.zero_queries.values()) + sum(vectors.zero_candidates.values()):
        where = ", ".join(dict.fromkeys([*vectors.zero_queries, *vectors.zero_candidates]))
        remedy = "have it return something for every text, or score such texts 0 with --allow-zero-vectors"
        findings = [Finding(about, "problem", f"{zeros} texts have vectors of only zeros ({where})", remedy)]
    lengths = np.linalg.norm(np.concatenate([vectors.queries, vectors.candidates]).astype(np.float64), axis=1)
    low, high = float(lengths.min()), float(lengths.max())
    found = (
        f"{vectors.dimensions} dimensions, {encoder.identity.dtype or 'type unknown'}, length {low:.4g} to {high:.4g}"
    )
    if high - low <= 1e-3 * high:
        return [*findings, Finding(about, "ok", f"{found}: all alike; {encoder.similarity}")]
    if encoder.similarity == "cosine":
        return [*findings, Finding(about, "ok", f"{found}: not alike, which cosine does not see")]
    remedy = "--similarity cosine, if it was not trained for dot products"
    return [*findings, Finding(about, "note", f"{found}: not alike, longer ones score more by dot product", remedy)]


def _record(encoder: BoundEncoder) -> list[Finding]:
    """What a record says of the encoder."""
    identity = encoder.identity
    found = f"{encoder.name}: {identity.similarity}, {identity.dimensions or '?'} dimensions (--json: all of it)"
    warnings = [Finding("warning", "note", warning) for warning in encoder.warnings]
    if identity.revision is None and identity.digest is None and identity.endpoint is None:  # which warns of it itself
        remedy = "name a folder or file, or declare a revision"
        return [Finding("record", "note", f"{found}; nothing tells which code or weights", remedy), *warnings]
    return [Finding("record", "ok", found), *warnings]


def _made_before(encoder: Precomputed, observe: Observer) -> list[Finding]:
    """Vectors in files: of each task whose data is here."""
    identity = encoder.identity
    findings = [Finding("model", "ok", f"{identity.kind}: {identity.name} ({str(identity.digest)[:12]})")]
    for folder in sorted(path for path in encoder.folder.iterdir() if path.is_dir()):
        about = f"task {folder.name}"
        try:
            spec = resolve_task(folder.name)
            missing = [key for key in spec.files if not locate(spec, key).present]
            if missing:
                remedy = "xqr-bench data fetch, or XQR_BENCH_DATA"
                findings.append(Finding(about, "note", "its data is not here: not looked at", remedy))
                continue
            data = Selection().load(spec, observe)
        except XqrBenchError as error:
            findings.append(Finding(about, "note", f"not looked at: {error.fault}", error.remedy))
            continue
        try:
            vectors = embed_tasks(encoder, [data], allow_zero_vectors=True)[data.name]
        except EncoderError as error:
            findings.append(Finding(about, "problem", error.fault, error.remedy))
            continue
        findings += _vectors(about, vectors, encoder)
        own = [warning for warning in encoder.warnings_for(data.name) if warning not in encoder.warnings]
        findings += [Finding(about, "note", warning) for warning in own]
    found = "prompts, determinism, batches, padding, truncation and speed: ask whoever made the vectors"
    return [*findings, Finding("not seen", "note", found), *_record(encoder)]
