"""How the CPU convolves: one file an algorithm, and how all of them cut, read and keep their scratch memory."""
