"""What a service chooses of its walls, as `runtime.contract.app_walls` has it, which checks what is named."""

from typing import Any

from panel.stacks.compose import values
from panel.stacks.compose.problems import Place, Reading


def read_ulimits(reading: Reading, place: Place, value: Any) -> dict[str, str]:
    """`nofile: 1024`, or `nofile: {soft: 1024, hard: 4096}`."""
    found: dict[str, str] = {}
    for name, one in values.mapping(reading, place, value).items():
        here = (*place, name)
        if not isinstance(one, dict):
            found[name] = values.text(reading, here, one)
            continue
        values.refuse_others(reading, here, one, ("soft", "hard"))
        soft, hard = (values.text(reading, (*here, end), one.get(end)) for end in ("soft", "hard"))
        found[name] = f"{soft or hard}:{hard or soft}"
    return found


def read_pairs(reading: Reading, place: Place, value: Any) -> dict[str, str]:
    """Labels and sysctls: a name alone has the empty text."""
    return {name: one or "" for name, one in values.pairs(reading, place, value).items()}
