"""`healthcheck` of a service, within the bounds of an app's health."""

from typing import Any

from panel.stacks.compose import sentences, values
from panel.stacks.compose.problems import Place, Reading
from runtime.contract.health import LEAST_INTERVAL_S, MOST_PERIOD_S, MOST_TIMEOUT_S

_KEYS = ("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")


def read_health(reading: Reading, place: Place, value: Any) -> dict[str, Any]:
    """Fields of `runtime.contract.Health`."""
    asked = values.mapping(reading, place, value)
    values.refuse_others(reading, place, asked, _KEYS)
    if "disable" in asked and values.boolean(reading, (*place, "disable"), asked["disable"]):
        return {"disable": True}
    found: dict[str, Any] = {}
    if "test" in asked:
        command = _command(reading, (*place, "test"), asked["test"])
        if command is None:
            return {"disable": True}
        found["command"] = command
    bounds = (
        ("interval", LEAST_INTERVAL_S, MOST_PERIOD_S),
        ("timeout", 1.0, MOST_TIMEOUT_S),
        ("start_period", 0.0, MOST_PERIOD_S),
    )
    for name, least, most in bounds:
        if name in asked:
            found[name] = _within(reading, (*place, name), asked[name], least, most)
    if "retries" in asked:
        found["retries"] = values.integer(reading, (*place, "retries"), asked["retries"], 1, 100)
    if "start_interval" in asked:
        reading.note((*place, "start_interval"), sentences.start_interval_aside())
    return found


def _command(reading: Reading, place: Place, value: Any) -> list[str] | None:
    """None: it isn't asked. Text is for the image's shell."""
    if isinstance(value, str):
        return ["/bin/sh", "-c", value]
    words = values.texts(reading, place, value)
    if words[:1] == ["NONE"]:
        return None
    if words[:1] == ["CMD-SHELL"] and len(words) == 2:
        return ["/bin/sh", "-c", words[1]]
    if words[:1] == ["CMD"] and len(words) > 1:
        return words[1:]
    reading.refuse(place, sentences.odd_test())
    return ["true"]


def _within(reading: Reading, place: Place, value: Any, least: float, most: float) -> float:
    asked = values.seconds(reading, place, value)
    held = min(max(asked, least), most)
    if held != asked:
        reading.note(place, sentences.held_within(str(place[-1]), f"{least:g}", f"{most:g}", f"{held:g}"))
    return held
