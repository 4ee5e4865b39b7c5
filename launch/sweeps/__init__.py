"""Sweeps: many runs of one recipe with different values of some flags.

The `space` of a sweep defines flags and their values; a `search` proposes the
values of each trial; `training` starts the runs, each in its own process;
`ranking` compares their results, and `summary` writes them.
"""
