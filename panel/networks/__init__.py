"""Addresses and port forwards."""
