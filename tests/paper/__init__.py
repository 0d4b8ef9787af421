"""A node whose host is a dictionary: what the core is tried on without root, and what `./wadah dev` shows."""
