"""The machine: devices, versions, caches, memory and cost."""
