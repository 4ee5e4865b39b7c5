"""Quatrain's input: data sets from any source as batches of static shape.

``sources.open_dataset`` finds or prepares a data set and returns a ``Dataset``;
its ``split(name)`` is the input of ``batches.train_batches`` and
``batches.eval_batches``. ``preprocessing`` holds pure functions of image
batches that run inside the train step.

All randomness is a function of (seed, epoch, position), so a run can continue
at any step on any number of replicas and workers.
"""
