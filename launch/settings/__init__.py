"""Options and flags: declared, read, checked, and named."""
