"""The node agent: consoles, terminals and exec over one unix socket; watches for exits, samples usage."""
