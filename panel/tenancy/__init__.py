"""Tenants as they are made, sold and looked after: quotas set, suspended, deleted, what they use."""
