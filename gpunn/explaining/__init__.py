"""What a network would do on a device that is not there."""
