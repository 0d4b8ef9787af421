"""Environments: what is wanted, and what was seen."""
