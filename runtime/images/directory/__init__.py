"""Trees of directories: programs copied, with all that they need, out of a set that the node has."""
