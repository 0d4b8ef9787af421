"""Who asks, what he may, and which rows he sees. Knows no row by name: apps that give rights register here."""
