"""Clusters of workers: their description, and launchers that start them.

Nothing here imports TensorFlow: workers find each other, and agree on what they
are about to do, before TensorFlow is configured for several workers.
"""
