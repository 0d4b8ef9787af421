"""What the front for tenants' domains asks about each request: who serves this name, if anybody does."""
