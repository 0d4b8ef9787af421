"""What is kept of environments beside their running disk: snapshots."""
