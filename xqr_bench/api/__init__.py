"""What `import xqr_bench` gives beyond single names of the rooms behind: evaluate, compare, what a notebook shows."""
