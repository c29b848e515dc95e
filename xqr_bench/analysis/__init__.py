"""Records -> what they say together: comparisons, and the same figures for other pools of languages."""
