"""Parts of an option that a request says in more words than are kept of it, for the API's document.

What is taken is laid over what is, and checked, by the option itself (`panel.environments.options`).
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from runtime.contract import Allow, AppRun, DirectoryOptions, JailOptions

_Words = dict[str, str | int | None]


def _asked(name: str, model: type[BaseModel], **more: Any) -> type[BaseModel]:
    """The fields of that part, each of which may be left out or be null, and those that only requests have."""
    fields: dict[str, Any] = {
        one: (
            Annotated[field.annotation, Field(), *field.metadata] | None,
            Field(None, description=field.description),
        )
        for one, field in model.model_fields.items()
    }
    made: type[BaseModel] = create_model(
        name, __config__=ConfigDict(extra="forbid"), __module__=__name__, **{**fields, **more}
    )
    return made


_SECRETS = "Files below /run/secrets: each by its name, with what it holds; null takes it out."
_CHILDREN = "In the words of jail.conf(5): `children_max`."
#: By option. `volumes` and `ports` of an app are said with a new one.
ASKED: dict[str, type[BaseModel]] = {
    "app": _asked(
        "AskedApp",
        AppRun,
        secrets=(_Words | None, Field(None, description=_SECRETS)),
        volumes=(list[str] | None, Field(None, description="Of a new one: NAME:/path, NAME:/path:ro.")),
        ports=(list[str] | None, Field(None, description="Of a new one: 80, 8080:80, 8080:80/udp.")),
    ),
    "directory": _asked("AskedDirectory", DirectoryOptions),
    "jail": _asked(
        "AskedJail",
        JailOptions,
        allow=(
            list[Allow] | dict[str, bool] | None,
            Field(None, description="All words that hold then; or single ones, each with whether it does."),
        ),
        **{
            "children_": (int | None, Field(None, alias="children.max", description=_CHILDREN)),
            **{
                f"allow_{number}": (bool | None, Field(None, alias=f"allow.{word}"))
                for number, word in enumerate(Allow)
            },
        },
    ),
}
