"""The kernels that can serve a convolution, and which of them does."""
