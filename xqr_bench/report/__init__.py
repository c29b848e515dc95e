"""Records -> tables; needs no model, no torch, no FAISS."""
