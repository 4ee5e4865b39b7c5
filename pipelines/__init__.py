"""Quatrain's input: data sets, wherever they lie, as static batches.

``sources.open_dataset`` finds or prepares a set and gives a
``Dataset``; its ``split(name)`` feeds ``batches.train_batches`` and
``batches.eval_batches``; ``preprocessing`` holds the pure functions of image
batches that run inside the train step.

Everything that is random is a function of (seed, epoch, position), so that a
run can be continued at any step on any number of replicas and workers.
"""
