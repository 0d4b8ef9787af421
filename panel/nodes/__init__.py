"""Machines that environments run on, as they report themselves."""
