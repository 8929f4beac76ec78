"""The real compiler, which needs no GPU: machine code, its cache, and what it says of every kernel."""
