"""Joins the rooms above: encoders, baselines and runs of other systems -> records."""
