"""Pages of environments, a room each. They hold no rule: services decide, and say no in sentences."""
