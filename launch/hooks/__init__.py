"""Hooks: what a run does between calls of the training graph.

Every run has `health`, `progress`, `rows`, `compilations`, `validation` and
`saving`, as well as `histograms` and `profile`, which do nothing without their
flags. Flags turn on `stopping`, `plateau` and `best`, which are written like a
user's hooks. `attached` turns any callable into a hook.
"""
