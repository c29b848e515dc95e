"""Records -> tables, charts and model cards; needs no model, no torch, no FAISS."""
