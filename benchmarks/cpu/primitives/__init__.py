"""What benchmarks/cpu_primitives.py times: the shapes, gpunn's calls and PyTorch's."""
