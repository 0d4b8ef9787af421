"""Builds in the panel."""
