"""The base of what requests hold: no field that isn't known, and each value of its own kind.

Pydantic would otherwise take `true` for the number 1, `"1"` for both, and 1 for `true`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreConfig, CoreSchema, SchemaValidator, core_schema

#: Of a moment: beyond, another zone's clock has no year for it.
_FIRST_YEAR, _LAST_YEAR = 2, 9998


def _within_reach(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"a moment lies in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


#: JSON has no times of its own: they are text (RFC 3339).
Moment = Annotated[datetime, Field(strict=False), AfterValidator(_within_reach)]


#: Names something that is there (an id or slug). Nothing at all isn't "none": that is `null`, or left out.
Naming = Annotated[str, Field(min_length=1)]


class Input(BaseModel):
    """A body. Its numbers may be written `1` or `1.0`; see `panel.gate.bodies`."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _left_out(schema: dict[str, Any]) -> None:
    for one in schema.get("properties", {}).values():
        if one.get("default") == "":
            del one["default"]


class Query(BaseModel):
    """Parameters of an address, which are all text there.

    One that is empty is refused (`panel.gate.parameters`), and so the document has no empty default: generated
    clients send what they read there."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_left_out)


@dataclass(frozen=True)
class CheckedAs:
    """In an `Annotated`: taken as what stands before, and checked later, in a service, as this type. The
    document of the API has the fields and words of that."""

    shape: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        taken = SchemaValidator(handler(source), CoreConfig(strict=True))

        def take(value: Any, _handler: ValidatorFunctionWrapHandler) -> Any:
            return taken.validate_python(value)

        return core_schema.no_info_wrap_validator_function(
            take, handler.generate_schema(self.shape), serialization=core_schema.simple_ser_schema("any")
        )


@cache
def in_part(model: type[BaseModel]) -> type[BaseModel]:
    """The same fields, none of which must be given: of a change, which leaves the rest as it is."""
    config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required", None))
    body = {"__doc__": model.__doc__, "__module__": model.__module__, "model_config": config}
    made: type[BaseModel] = type(f"{model.__name__}InPart", (model,), body)
    return made
