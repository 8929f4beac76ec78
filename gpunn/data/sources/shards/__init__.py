"""Image files in tar archives, next to their labels."""
