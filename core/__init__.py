"""Quatrain's library: stateless functions around explicit variables."""
