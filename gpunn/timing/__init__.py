"""How long a network takes, on several devices side by side."""
