"""Runs sent to trackers."""
