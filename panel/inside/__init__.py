"""What Docker's words ask of a container, of each environment: top, diff, cp, stats, events, attach."""
