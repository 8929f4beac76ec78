"""PyTorch as a contestant: the same network, weights, pictures and optimiser, on the same device."""
