"""Plans as they are offered: their pages, and their new versions brought to the environments that follow."""
