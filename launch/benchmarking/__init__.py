"""Where the time of a step goes, and what bounds it."""
