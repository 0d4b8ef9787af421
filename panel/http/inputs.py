"""The base of what requests hold: no field that isn't known, and each value of its own kind.

Pydantic would otherwise take `true` for the number 1, `"1"` for both, and 1 for `true`.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: JSON has no times of its own: they are text (RFC 3339).
Moment = Annotated[datetime, Field(strict=False)]


#: Names something that is there (an id or slug). Nothing at all isn't "none": that is `null`, or left out.
Naming = Annotated[str, Field(min_length=1)]


class Input(BaseModel):
    """A body. Its numbers may be written `1` or `1.0`; see `panel.gate.bodies`."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Parameters of an address, which are all text there."""

    model_config = ConfigDict(extra="forbid")
