"""Consoles and terminals: objects of the node that outlive tab, panel and agent."""
