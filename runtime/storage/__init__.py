"""What environments keep on disk beside their root: snapshots."""
