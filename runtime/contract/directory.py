"""Kind `directory`: a tree that somebody may log into and not out of, and which programs it holds."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from runtime.contract.base import Message

#: As in `EnvironmentSpec.image` of a directory: nodes make its tree themselves.
DIRECTORY_IMAGE: Final = "directory"
#: Programs beside those of the profile.
MOST_PROGRAMS: Final = 40

ProgramName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+._-]{0,63}$")]


class Profile(StrEnum):
    """What it is for."""

    SHELL = "shell"
    """Work at a command line; files by SFTP, scp and rsync, and git."""
    SFTP = "sftp"
    """Files by SFTP and scp; no shell."""
    RSYNC = "rsync"
    """Files by rsync; no shell."""
    GIT = "git"
    """Repositories of git; no shell."""


class DirectoryOptions(Message):
    """Followed when its tree is made: at its creation, and by a reinstall."""

    profile: Profile = Profile.SHELL
    programs: Annotated[tuple[ProgramName, ...], Field(max_length=MOST_PROGRAMS)] = ()
    """More programs by name, each copied with what it needs from the node's own set of them."""
