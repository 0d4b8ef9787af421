"""What the beat does for stacks."""

from panel.stacks.work import look_after

__all__ = ["look_after"]
