"""Sweeps: many runs of one recipe, each with other values of some flags.

A sweep's `space` holds the flags and their values; a `search` proposes the
values of each trial; `training` starts the runs, each in its own process;
`ranking` compares their results, and `summary` writes them.
"""
