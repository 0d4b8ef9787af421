"""What stands between an environment and the host, and what the kernel counts of it: asked, never kept."""
