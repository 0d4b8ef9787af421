"""Scripts that run inside an environment when it starts and before it is asked to stop: what OpenVZ calls
action scripts, and LXC and jail(8) hooks."""

from typing import Annotated

from pydantic import Field, StringConstraints

from runtime.contract.base import Message

#: For /bin/sh, as root.
Script = Annotated[str, StringConstraints(max_length=16_384, pattern=r"^[^\x00]*$")]


class Hooks(Message):
    """Empty: none. What a script says, and its exit code, are told with the step; neither keeps it from running
    or stopping."""

    start: Script = ""
    """Once its first process runs: at each start, also one by the restart policy."""
    stop: Script = ""
    """Before its first process is asked to end; not where it is ended by force, or ends by itself."""
    within_s: Annotated[float, Field(ge=1, le=120)] = 30.0
    """Each is ended then."""
