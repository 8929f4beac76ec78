"""What is looked at, one area a file: each has a function `examine`."""
