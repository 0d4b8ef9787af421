"""What a tenant may hold in sum, and the counters that no race gets past."""
