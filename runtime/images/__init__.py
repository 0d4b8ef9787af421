"""Images: one file per source, and the service that keeps them as read-only subvolumes of the pool."""
