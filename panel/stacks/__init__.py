"""Stacks: a Compose file as a group of environments, that find each other by name."""
