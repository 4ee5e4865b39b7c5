"""Names of parts: found, imported, recorded and described."""
