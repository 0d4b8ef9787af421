"""Settings and the entry points of the panel's processes."""
