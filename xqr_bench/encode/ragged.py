"""Models that give a text a sparse vector, or a vector of each token: each distinct text of all tasks once."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError, pass_on_stops
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray
from xqr_bench.encode.batches import Batches
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.kinds import OtherModel
from xqr_bench.encode.options import EncoderOptions, ModelIdentity, Role
from xqr_bench.encode.python_object import declared_similarity
from xqr_bench.encode.sentence_transformer import (
    ALL_OPTIONS,
    ModelEncoder,
    candidate_prompt,
    load_other,
    query_prompt,
    set_max_length,
)
from xqr_bench.encode.texts import Group

Vectors = NDArray[np.float32]


class OtherEncoder(ModelEncoder):
    """A SparseEncoder or MultiVectorEncoder of sentence-transformers; what `call` returns is no matrix."""

    _lengths: tuple[int | None, int | None] = (None, None)

    def call(self, role: Role, texts: list[str]) -> Any:
        """One batch as it was planned: a sparse tensor on the processor, or a list of arrays `[tokens, d]`."""
        how: dict[str, Any] = {"save_to_cpu": True}
        if self.identity.kind == "multi-vector-encoder":
            how = {"convert_to_numpy": True}
        return getattr(self.model, self.called[role])(
            texts, prompt=self.prompt(role), batch_size=len(texts), show_progress_bar=False, **how
        )

    def limit(self, role: Role) -> int | None:
        """See TextEncoder; queries of a MultiVectorEncoder have a limit of their own."""
        return self._lengths[role == "candidate"]


def sparse_encoder(other: OtherModel, options: EncoderOptions) -> OtherEncoder:
    """Load a SparseEncoder.

    Raises:
        EncoderError: it cannot be loaded, or declares a similarity that is no product.
        UsageError: an option that it cannot follow.
    """
    return _encoder(other, options, ALL_OPTIONS - {"truncate_dim", "encoder_arg"})


def token_encoder(other: OtherModel, options: EncoderOptions) -> OtherEncoder:
    """Load a MultiVectorEncoder, of PyLate and ColBERT too.

    Raises:
        EncoderError: it cannot be loaded.
        UsageError: an option that it cannot follow.
    """
    return _encoder(other, options, ALL_OPTIONS - {"truncate_dim", "encoder_arg", "similarity"})


def _encoder(other: OtherModel, options: EncoderOptions, allowed: frozenset[str]) -> OtherEncoder:
    options.refuse_all_but(f"a {other.library}", allowed - (set() if other.hub is not None else {"revision"}))
    model, facts = load_other(other, options)
    notes: list[str] = facts.pop("warnings")
    set_max_length(model, options.max_length)
    transformer, many = model[0], other.kind == "multi-vector-encoder"
    if many and options.max_length is not None and getattr(transformer, "document_length", None) is not None:
        transformer.document_length = options.max_length
    whole = model.max_seq_length if isinstance(model.max_seq_length, int) and model.max_seq_length <= 10**9 else None
    of_query = _expanded(transformer) or getattr(transformer, "query_length", None)
    limits = tuple(of or whole for of in (of_query, getattr(transformer, "document_length", None)))
    if many and model.similarity_fn_name != "maxsim":
        notes.append(
            f"it declares {model.similarity_fn_name}, MaxSim by the number of the query's tokens: the order is that of "
            "MaxSim, which is what its scores are here"
        )
    dtype = getattr(model, "dtype", None)
    identity = ModelIdentity(
        kind=other.kind,
        **facts,
        query_prompt=query_prompt(model, options) or None,
        candidate_prompt=candidate_prompt(model, options, notes) or None,
        candidate_context=options.candidate_template,
        max_length=limits[1],
        dtype=None if dtype is None else str(dtype).removeprefix("torch."),
        similarity="maxsim"
        if many
        else declared_similarity(model.similarity_fn_name, options.similarity, facts["name"]),
        model_kwargs=json.loads(json.dumps(dict(options.model_kwargs), default=str)),
        remote_code=options.trust_remote_code,
    )
    encoder = OtherEncoder(model, identity, options, name=options.name, warnings=notes)
    if options.name is None and options.candidate_context is not None:
        encoder.name += f"+{options.candidate_context}"
    encoder.symmetric = encoder.symmetric and not many
    encoder._lengths = (limits[0], limits[1])
    return encoder


def _expanded(transformer: Any) -> int | None:
    """To how many tokens queries are filled up, and cut off; None: they are not."""
    expansion: Any = getattr(transformer, "query_expansion", None)
    return expansion.get("length") if expansion and expansion.get("strategy") == "fixed" else None


class RaggedBatches(Batches):
    """Calls an encoder with batches of a group; what it returns is read by a function of the kind.

    Args:
        encoder, group, observe: as of `Batches`.
        read: what was returned, the number of texts, and the encoder's name -> something for each text, and the
            dimensions.
    """

    def __init__(
        self, encoder: TextEncoder, group: Group, observe: Observer, read: Callable[[Any, int, str], tuple[Any, int]]
    ) -> None:
        super().__init__(encoder, group, allow_zero=True, observe=observe)
        self._read = read

    def vectors(self, batch: IntArray, done: int = 0) -> Any:
        """Encode a batch; it is not halved when memory runs out.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored.
        """
        try:
            returned = self.encoder.call(self.group.role, self._texts(batch))
        except BaseException as error:  # whatever a plugin raises
            pass_on_stops(error)
            raise self._failed(batch, done, error) from error
        try:
            rows, dimensions = self._read(returned, len(batch), self.encoder.name)
        except EncoderError as error:
            first = f"the first of these {len(batch):,} texts is {self.group.name(int(batch[0]))}"
            raise EncoderError(error.problem, found=f"{error.found}; {first}", remedy=error.remedy) from error
        with self._checking:
            self.encoder.check_dimensions(dimensions, lambda: self.group.name(int(batch[0])))
        return rows


def read_tokens(returned: Any, texts: int, who: str) -> tuple[list[Vectors], int]:
    """Check what a MultiVectorEncoder returned: one array for each text, float32 `[tokens, d]`, and d.

    Raises:
        EncoderError: something else, a text without tokens, or numbers that are not finite.
    """
    arrays = [np.asarray(one, dtype=np.float32) for one in returned]
    shapes = {one.shape[1:] for one in arrays}
    if len(arrays) != texts or len(shapes) != 1 or any(one.ndim != 2 or not one.size for one in arrays):
        raise EncoderError(
            f"{who} returned no vectors of the tokens of some texts",
            found=f"{len(arrays)} arrays for {texts} texts, of the shapes {sorted({one.shape for one in arrays})[:4]}",
            remedy="look at what its encode_query and encode_document return for them",
        )
    if not all(np.isfinite(one).all() for one in arrays):
        raise EncoderError(
            f"{who} has vectors that are not finite in float32", found="NaN or inf", remedy="try --dtype float32"
        )
    return arrays, arrays[0].shape[1]


def read_sparse(returned: Any, texts: int, who: str) -> tuple[Any, int]:
    """What an encoder of sparse vectors returned as a CSR matrix of scipy: float32 `[texts, d]`, sorted; and d.

    Raises:
        EncoderError: it is no sparse matrix with one row a text, or has numbers that are not finite.
    """
    from scipy import sparse

    if getattr(returned, "is_sparse", False):  # of torch, COO
        whole = returned.detach().cpu().float().coalesce()
        rows, columns = whole.indices().numpy()
        returned = sparse.csr_array((whole.values().numpy(), (rows, columns)), shape=tuple(whole.shape))
    elif type(returned).__module__.startswith("torch") and str(getattr(returned, "layout", "")) == "torch.sparse_csr":
        parts = (returned.values().float().numpy(), returned.col_indices().numpy(), returned.crow_indices().numpy())
        returned = sparse.csr_array(parts, shape=tuple(returned.shape))
    if not sparse.issparse(returned) or returned.ndim != 2 or returned.shape[0] != texts or not returned.shape[1]:
        raise EncoderError(
            f"{who} returned no sparse matrix with one row a text",
            found=f"{type(returned).__name__} of the shape {getattr(returned, 'shape', 'unknown')} for {texts} texts",
            remedy="return one of scipy or torch; of dense vectors leave `sparse = True` out",
        )
    matrix = sparse.csr_array(returned).astype(np.float32)
    matrix.sum_duplicates()  # sorts too
    matrix.eliminate_zeros()
    if not np.isfinite(matrix.data).all():
        raise EncoderError(
            f"{who} has vectors that are not finite in float32", found="NaN or inf", remedy="try --dtype float32"
        )
    return matrix, matrix.shape[1]


class TokenFile:
    """Collects the token vectors of texts: in memory, or, beyond a number of bytes, in a temporary file.

    Texts whose vectors are the same, bit for bit, are kept once.

    Args:
        memory: bytes.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._file: Any = io.BytesIO()
        self._sizes: list[int] = []
        self._places: dict[bytes, int] = {}
        self._width = 0

    def add(self, vectors: Vectors) -> int:
        """Keep the vectors of a text, float32 `[tokens, d]`; returns its number among those that differ."""
        rows = np.ascontiguousarray(vectors + np.float32(0.0))  # 0.0 and -0.0 are equal
        place = self._places.setdefault(blake2b(rows.tobytes(), digest_size=16).digest(), len(self._sizes))
        if place == len(self._sizes):
            self._sizes.append(len(rows))
            self._width = rows.shape[1]
            if isinstance(self._file, io.BytesIO) and self._file.tell() + rows.nbytes > self._memory:
                held, self._file = self._file, tempfile.TemporaryFile()  # noqa: SIM115
                self._file.write(held.getbuffer())
            self._file.write(rows)
        return place

    def read(self) -> tuple[Vectors, IntArray]:
        """All vectors, float32 `[tokens, d]`, and where each text begins, int64 `[texts + 1]`."""
        edges = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.int64)
        shape = (int(edges[-1]), self._width)
        if isinstance(self._file, io.BytesIO):
            return np.frombuffer(self._file.getbuffer(), dtype=np.float32).reshape(shape), edges
        self._file.flush()
        with self._file:  # the map stays
            return np.memmap(self._file, dtype=np.float32, mode="r", shape=shape), edges
