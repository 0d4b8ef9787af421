"""Parts of a path."""

from uuid import UUID

from panel.errors import NotFound


def uuid_of(text: str, what: str) -> UUID:
    """An id from a path; what is no id exists as little as an unknown one."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(what) from error
