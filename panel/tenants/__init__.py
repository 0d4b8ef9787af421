"""Tenants, who belongs to them, and who may do what."""
