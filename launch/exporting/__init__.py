"""Exports: their formats, their comparison with the model, their report."""
