"""The OCI runtime configuration of an environment: pure functions, no host is touched."""
