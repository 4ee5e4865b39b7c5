"""Comparisons of runs: what differs, and whether by chance."""
