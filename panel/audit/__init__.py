"""Who did what, from where, to what: append-only and chained."""
