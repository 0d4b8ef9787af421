"""Backups: an environment's files in an encrypted repository elsewhere, by restic, and back again."""
