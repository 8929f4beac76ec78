"""Everything that needs a GPU, in one command: checks first, then times beside PyTorch, into one JSON file.

    python -m benchmarks.gpu

Each stage leaves its result in the file before the next begins, so that a stage that fails, or a time limit, costs
nothing that is known already.
"""
