"""What environments start from, and where it is ready."""
