"""Questions about the machine that may crash or hang, each a module with a function `answer`."""
