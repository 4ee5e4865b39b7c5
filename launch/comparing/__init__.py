"""Runs beside each other: what differs, and whether by chance."""
