"""What goes on when the wall clock is set: waits move with it, and no stamp stays in the future."""
