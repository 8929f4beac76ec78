"""What of a machine is fit for gpunn, and which command mends the rest."""
