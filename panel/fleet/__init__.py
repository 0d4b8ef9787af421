"""Nodes as administrators look after them: pages, capacity, what leaks and what is lacking."""
