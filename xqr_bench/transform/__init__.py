"""Between encoding and ranking: each language's own part of the vectors taken away (docs/transforms.md)."""

from xqr_bench.transform.apply import Source, Transformed, digest_of, transform_vectors
from xqr_bench.transform.options import TransformFacts, TransformOptions
from xqr_bench.transform.source import read_source

__all__ = [
    "Source",
    "TransformFacts",
    "TransformOptions",
    "Transformed",
    "digest_of",
    "read_source",
    "transform_vectors",
]
