"""The files of a run: written whole, locked, and read again."""
