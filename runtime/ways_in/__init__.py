"""By which ways root gets into an environment: read from its files, and from its kernel where it runs."""
