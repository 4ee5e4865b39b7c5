"""A page that runs a model in a browser, and a browser for verifying it."""
