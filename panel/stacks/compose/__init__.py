"""A Compose file read: what it asks for, or everything in it that can't be had, by name and line.

Knows no row and no request. `read` is the way in.
"""

from panel.stacks.compose.problems import ComposeRefused, Note, Problem
from panel.stacks.compose.project import Project, Source, Volume, read
from panel.stacks.compose.service import Condition, Mount, Service

__all__ = [
    "ComposeRefused",
    "Condition",
    "Mount",
    "Note",
    "Problem",
    "Project",
    "Service",
    "Source",
    "Volume",
    "read",
]
