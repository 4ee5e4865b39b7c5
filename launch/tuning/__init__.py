"""Trials of learning rates, batch sizes and steps per loop."""
