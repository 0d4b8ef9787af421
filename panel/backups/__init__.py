"""Backups of environments: the targets that they go to, and backing up, restoring and deleting."""
