"""Jails in the words of who comes from FreeBSD: numbers, a list as of jls(8), and jail.conf(5)."""
