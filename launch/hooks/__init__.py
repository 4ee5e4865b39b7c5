"""What happens in a run between its steps.

Those of every run: `health`, `progress`, `rows`, `compilations`, `validation`,
`saving`, and, idle without their flags, `histograms` and `profile`; those that
a flag turns on, which are written as a user's are: `stopping`, `plateau`,
`best`; and `attached`, which makes a hook of the loop of any callable.
"""
