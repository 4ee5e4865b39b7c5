"""The pieces of a run: from its start to its end."""
