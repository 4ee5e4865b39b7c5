"""Sweeps: many runs of one recipe, each with other values of some flags.

A sweep's `space` says which flags and which values; a `search` proposes the
values of each trial; `training` starts the runs, a process each; `ranking`
compares what they came to, and `page` shows it.
"""
