"""Registries that images of apps come from: who asks there for a tenant, and what an administrator allows."""
