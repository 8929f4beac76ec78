"""Convolution with fewer products: tiles and filters are transformed, multiplied number by number, brought back."""
