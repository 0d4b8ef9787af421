"""Named, versioned limits."""
