"""Pictures of what a network has learned: filters, activations, what decided, what went wrong."""
