"""Decoded pictures of one size in one file."""
