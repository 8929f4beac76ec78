"""The parts of benchmarks/cpu_training.py: training on the CPU beside PyTorch."""
