"""Make a MultiVectorEncoder of a dense sentence-transformers model: its token vectors, compared by MaxSim.

    python make_maxsim.py multilingual-e5-small multilingual-e5-small-maxsim

Nothing is trained: the transformer is the model's own, with its prompts and its limit of tokens, without pooling and
without a projection, and each token's vector is scaled to length 1. The library's own conversion would append a
projection with random weights.
"""

import sys
from pathlib import Path

from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask


def main(dense: str, folder: str) -> None:
    """Write the folder."""
    if Path(folder).exists():
        sys.exit(f"{folder} exists")
    # without BERT's pooler, which has no weights there: drawn at random, they would be saved, other ones each time
    model = SentenceTransformer(dense, device="cpu", model_kwargs={"add_pooling_layer": False})
    modules = [model[0], MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, prompts=model.prompts, device="cpu").save(folder, create_model_card=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
