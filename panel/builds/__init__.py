"""Builds: where images are built from, each build that was asked for, and pushes that ask for one."""
