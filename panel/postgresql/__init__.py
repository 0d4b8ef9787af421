"""Django's way to PostgreSQL, in which every wait ends (`base`)."""
