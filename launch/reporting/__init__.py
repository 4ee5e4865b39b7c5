"""What is written at the end of a run, for people: report/ and comparisons."""
