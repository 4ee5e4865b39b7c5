"""Scores, predictions, and a second computation of both."""
