"""Health of an app: how it is asked how it is, and what was seen of it."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from runtime.contract.base import Line, Message, Port
from runtime.contract.words import asked

#: A process is begun for each check of a command, by the node.
LEAST_INTERVAL_S: Final = 5.0
DEFAULT_INTERVAL_S: Final = 30.0
DEFAULT_TIMEOUT_S, MOST_TIMEOUT_S = 30.0, 60.0
DEFAULT_RETRIES: Final = 3
MOST_PERIOD_S: Final = 3600.0

_DURATION = re.compile(r"(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6}(?:\.[0-9]{1,3})?)s)?")
_HTTP = re.compile(r"(?:http://(?:localhost|127\.0\.0\.1|\[::1\]))?:?([0-9]{1,5})(/.*)?")


def _seconds(value: Any) -> Any:
    """A number, or a duration as Docker and Compose write it: `30s`, `1m30s`."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if not value or found is None:
        raise ValueError(asked.odd_duration())
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + float(seconds or 0)


def _words(value: Any) -> Any:
    """Text is for the shell of the image, as in a Dockerfile."""
    if isinstance(value, str):
        return ("/bin/sh", "-c", value) if value.strip() else ()
    return tuple(value) if isinstance(value, list) else value


def _probe(value: Any) -> Any:
    """`8080`, `8080/path`, `http://localhost:8080/path`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"port": value}
    if not isinstance(value, str):
        return value
    found = _HTTP.fullmatch(value)
    if found is None:
        raise ValueError(asked.odd_http())
    return {"port": int(found[1]), "path": found[2] or "/"}


class HttpProbe(Message):
    """Healthy: an answer of 200 to 399."""

    port: Port
    path: Annotated[str, StringConstraints(max_length=1024, pattern=r"^/[\x21-\x7e]*$")] = "/"


class HealthAction(StrEnum):
    """What follows when it became unhealthy."""

    NONE = "none"
    RESTART = "restart"


#: JSON has no other numbers; but `1e999` is read as infinite, and `NaN` as such.
Seconds = Annotated[float, Field(allow_inf_nan=False)]
HealthWord = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Command = Annotated[tuple[HealthWord, ...], BeforeValidator(_words), Field(min_length=1, max_length=64)]
Interval = Annotated[float, BeforeValidator(_seconds), Field(ge=LEAST_INTERVAL_S, le=MOST_PERIOD_S)]
Timeout = Annotated[float, BeforeValidator(_seconds), Field(ge=1, le=MOST_TIMEOUT_S)]
Period = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=MOST_PERIOD_S)]


class Health(Message):
    """How an app is asked. Of what isn't said, its image's HEALTHCHECK holds, then Docker's defaults."""

    command: Command | None = None
    """Run inside, as the app's user; healthy when it ends with 0. Text is run by the image's shell."""
    http: Annotated[HttpProbe, BeforeValidator(_probe)] | None = None
    """Asked for within the app's own network."""
    tcp: Port | None = None
    """Healthy when it can be connected to, within the app's own network."""
    interval: Interval | None = None
    """Seconds from the end of a check to the next."""
    timeout: Timeout | None = None
    """Seconds that one may take."""
    retries: Annotated[int, Field(ge=1, le=100)] | None = None
    """So many that fail in a row make it unhealthy."""
    start_period: Period | None = None
    """Seconds after its start in which those that fail aren't counted."""
    action: HealthAction = HealthAction.NONE
    disable: bool = False
    """Not asked at all, whatever its image says."""

    @model_validator(mode="after")
    def _asks_once(self) -> Self:
        ways = [one for one in (self.command, self.http, self.tcp) if one is not None]
        if len(ways) > 1 or (ways and self.disable):
            raise ValueError(asked.asks_once())
        return self


class ImageHealth(Message):
    """Of an image's HEALTHCHECK what is used of it; it may say anything."""

    command: Annotated[tuple[HealthWord, ...], Field(min_length=1, max_length=64)]
    interval_s: Seconds = 0.0
    """0: it doesn't say."""
    timeout_s: Seconds = 0.0
    start_period_s: Seconds = 0.0
    retries: int = 0


class HealthCheck(Message):
    """What a node asks, all said."""

    command: tuple[str, ...] | None = None
    http: HttpProbe | None = None
    tcp: Port | None = None
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float
    action: HealthAction


def check_of(own: Health | None, image: ImageHealth | None) -> HealthCheck | None:
    """None: nobody says how. What an image says is kept within the bounds that hold for everybody."""
    own = own or Health()
    is_own = any(one is not None for one in (own.command, own.http, own.tcp))
    if own.disable or (image is None and not is_own):
        return None
    of_image = None if image is None or is_own else image.command

    def chosen(asked: float | None, said: float, default: float, least: float, most: float) -> float:
        return asked if asked is not None else min(max(said or default, least), most)

    return HealthCheck(
        command=own.command or of_image,
        http=own.http,
        tcp=own.tcp,
        interval_s=chosen(
            own.interval, image.interval_s if image else 0, DEFAULT_INTERVAL_S, LEAST_INTERVAL_S, MOST_PERIOD_S
        ),
        timeout_s=chosen(own.timeout, image.timeout_s if image else 0, DEFAULT_TIMEOUT_S, 1, MOST_TIMEOUT_S),
        retries=own.retries or min(max((image.retries if image else 0) or DEFAULT_RETRIES, 1), 100),
        start_period_s=chosen(own.start_period, image.start_period_s if image else 0, 0, 0, MOST_PERIOD_S),
        action=own.action,
    )


class HealthState(StrEnum):
    STARTING = "starting"
    """No check has ended well yet, and none that counts often enough."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthSeen(Message):
    """How an app is, by the checks since its start."""

    state: HealthState
    since: datetime | None = None
    """None: nothing was asked yet."""
    output: Annotated[Line, StringConstraints(max_length=200)] = ""
    """What the check that made it so said: text of the app's own."""
