"""The strict base of every contract model, and the field types that several of them share."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

CONTRACT_VERSION: Final = 1

#: RFC 1123 label: what a host name's first part may be, and so an environment's name.
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
NAME = re.compile(NAME_PATTERN)

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=63)]
ImageName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$", max_length=64)
]
Port = Annotated[int, Field(ge=1, le=65535)]
#: One line of text that came from a VE or a tool: shortened, shown, never interpreted.
Line = Annotated[str, StringConstraints(max_length=2000)]


class Message(BaseModel):
    """A message that crosses the border between panel and node: frozen, no unknown field accepted.

    What is refused isn't repeated in the error, which is logged: it may be the hash of a password."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=False, hide_input_in_errors=True
    )


#: As /etc/hosts has them (hosts(5)), and `_`, which Compose lets names of services have.
HostNameText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
