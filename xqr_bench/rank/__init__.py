"""Embeddings, indices, terms and runs -> ranks."""
