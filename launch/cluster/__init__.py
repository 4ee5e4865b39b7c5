"""Several workers: who they are, and how they are started.

Nothing here imports TensorFlow: workers find each other, and agree on what they
are about to do, before TensorFlow hears of them.
"""
