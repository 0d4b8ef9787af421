"""Django's way to SQLite, on which writers wait no longer than the one before them takes (`base`)."""
