"""From the bytes of an image file to pixels, and from pixels to pixels of another size."""
