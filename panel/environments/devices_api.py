"""/api/v1/environments/{id}/devices"""

from typing import Literal

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from panel.environments import answers, host_devices, selectors, services
from panel.environments.accepted import WHAT, accepted
from panel.errors import NotFound
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.http.versions import expected_version
from panel.rights.asking import actor

router = Router()


class DeviceToGive(Input):
    name: str = Field(max_length=63)
    access: Literal["hidden", "read", "read-write"] = "read-write"


class DevicesToGive(Input):
    devices: list[DeviceToGive] = Field(max_length=64, description="What isn't named is hidden.")


@router.get(
    "/{pk}/devices", response=ListOf[answers.DeviceOfEnvironment], operation_id="environments_devices_list"
)
def list_(request: HttpRequest, pk: str) -> ListOf[answers.DeviceOfEnvironment]:
    """Of its node's host: those that it has, and those that could be given to it."""
    row = selectors.environments(actor(request)).filter(pk=uuid_of(pk, WHAT)).first()
    if row is None:
        raise NotFound(WHAT)
    found = host_devices.offered(actor(request), row)
    return {"items": found, "count": len(found)}


@router.put("/{pk}/devices", response={202: answers.Accepted}, operation_id="environments_devices_set")
def give(request: HttpRequest, pk: str, payload: DevicesToGive) -> Status[answers.Accepted]:
    """At once, while it runs. What a program has open it keeps until it closes it; a restart makes sure."""
    given = [one.model_dump() for one in payload.devices if one.access != host_devices.HIDDEN]
    changes = {"host_devices": given}
    version = expected_version(request)
    changed = services.update_environment(actor(request), uuid_of(pk, WHAT), changes, version=version)
    return accepted(request, changed)
