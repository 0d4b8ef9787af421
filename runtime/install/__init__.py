"""Installs, starts, watches, tests and takes away an installation. Standard library only: it runs
before anything of ours is installed."""
