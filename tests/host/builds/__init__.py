"""Builds on the kernel."""
