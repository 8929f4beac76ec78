"""The real compiler, which needs no GPU, and the cache of what it made."""
