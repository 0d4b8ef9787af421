"""Ports that a new app is published by: what `docker run -p` and Compose write, read into forwards."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from pydantic import Field

from panel.contract_input import parse
from panel.environments.models import Environment
from panel.errors import Invalid, Refused
from panel.networks import services
from panel.networks.models import PortForward
from panel.text import line
from runtime.contract.base import Message, Port

FIELD = "app.ports"
MOST = 64
_TEXT = re.compile(r"(?:([0-9]{1,5}):)?([0-9]{1,5})(?:/(tcp|udp))?")


class _Asked(Message):
    """One as an object: the fields of a forward."""

    port: Port
    node_port: Port | None = None
    protocol: str = "tcp"
    description: str = Field(default="", max_length=120)


@dataclass(frozen=True)
class Published:
    port: int
    """Inside."""
    node_port: int | None = None
    """None: one of the node's is drawn."""
    protocol: str = "tcp"
    description: str = ""


def published(asked: Sequence[Any]) -> list[Published]:
    """Raises `Invalid` for what is no port, or asks for one of the node's twice."""
    if len(asked) > MOST:
        raise Invalid(_("At most %(most)s ports are published at once.") % {"most": MOST}, field=FIELD)
    found = [_one(each) for each in asked]
    named = [(one.protocol, one.node_port) for one in found if one.node_port is not None]
    twice = next((each for each in named if named.count(each) > 1), None)
    if twice is not None:
        raise Invalid(
            _("Port %(node_port)s/%(protocol)s of the node is asked for twice.")
            % {"node_port": twice[1], "protocol": twice[0]},
            field=FIELD,
        )
    return found


def _one(asked: Any) -> Published:
    if isinstance(asked, Mapping):
        known = parse(_Asked, asked, FIELD)
        text = line(known.description, field=FIELD, most=120, least=0)
        one = Published(known.port, known.node_port, known.protocol, text)
    else:
        is_text = isinstance(asked, (str, int)) and not isinstance(asked, bool)
        found = _TEXT.fullmatch(str(asked).strip()) if is_text else None
        if found is None:
            raise Invalid(
                _("%(port)s is no port: write 80, 8080:80 or 8080:80/udp.") % {"port": str(asked)[:60]},
                field=FIELD,
                next_step=_("Which address of the node it is can't be chosen, and each port is named alone."),
            )
        node_port, port, protocol = found.groups()
        one = Published(int(port), None if node_port is None else int(node_port), protocol or "tcp")
    try:
        services.check_forward(one.protocol, one.port)
    except Invalid as odd:
        raise Invalid(odd.message, field=FIELD) from odd
    return one


def publish(environment: Environment, wanted: Sequence[Published]) -> Iterator[PortForward]:
    """Those whose port is named first: what is drawn by lot may not be in their way. Raises what `open_forward`
    raises, about the field that was asked in."""
    for one in sorted(wanted, key=lambda each: each.node_port is None):
        try:
            yield services.open_forward(
                environment,
                protocol=one.protocol,
                port=one.port,
                node_port=one.node_port,
                description=one.description,
            )
        except Refused as refused:
            refused.field = FIELD
            raise


def offered(exposed: Sequence[str], forwards: Sequence[PortForward]) -> list[Published]:
    """Of the ports that an image exposes, those that nobody has published yet."""
    there = {(one.protocol, one.port) for one in forwards}
    found = []
    for text in exposed:
        match = _TEXT.fullmatch(text)
        if match is not None and match[1] is None and (match[3] or "tcp", int(match[2])) not in there:
            found.append(Published(int(match[2]), protocol=match[3] or "tcp"))
    return found
