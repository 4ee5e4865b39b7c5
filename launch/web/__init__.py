"""A page that runs a model in a browser, and a browser to prove it with."""
