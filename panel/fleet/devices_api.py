"""/api/v1/devices: for administrators of the installation; to everybody else there are none."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Router, Status
from pydantic import Field

from panel.errors import NotFound
from panel.fleet import answers, devices
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.nodes.models import Node
from panel.rights.asking import actor

router, of_nodes = Router(), Router()
_THIS = "This device"


class DeviceChange(Input):
    path: str | None = Field(default=None, max_length=256, description="Of the host: /dev/ttyUSB0. Or udev.")
    udev: list[str] | None = Field(
        default=None, max_length=8, description="What udev says of it, all of these: ID_SERIAL=…, ID_PATH=…"
    )
    inside: str | None = Field(default=None, max_length=128, description="Empty: /dev/ and its name.")
    shared: bool | None = Field(default=None, description="Several environments may have it at once.")


class NewDevice(DeviceChange):
    node: str = Field(max_length=36)
    name: str = Field(max_length=63)


@router.get("", response=ListOf[answers.HostDevice], operation_id="devices_list")
def list_(request: HttpRequest) -> ListOf[answers.HostDevice]:
    rows = [devices.show(row) for row in devices.rows_of(actor(request))]
    return {"items": rows, "count": len(rows)}


@router.post("", response={201: answers.HostDevice}, operation_id="devices_create")
def create(request: HttpRequest, payload: NewDevice) -> Status[answers.HostDevice]:
    """An environment is given it by `PUT /environments/{id}/devices`, when the node holds it. Disks, memory and
    terminals of the host, and what changes it, are refused by what its kernel says that they are."""
    values = payload.model_dump(exclude={"node"}, exclude_none=True)
    made = devices.add_device(actor(request), uuid_of(payload.node, "This node"), **values)
    return Status(201, devices.show(made))


@router.patch("/{pk}", response=answers.HostDevice, operation_id="devices_update")
def update(request: HttpRequest, pk: str, payload: DeviceChange) -> answers.HostDevice:
    changes = payload.model_dump(exclude_none=True)
    return devices.show(devices.change_device(actor(request), uuid_of(pk, _THIS), changes))


@router.delete("/{pk}", response={204: None}, operation_id="devices_delete")
def delete(request: HttpRequest, pk: str) -> HttpResponse:
    """One that an environment has stays: 409."""
    devices.delete_device(actor(request), uuid_of(pk, _THIS))
    return HttpResponse(status=204)


@of_nodes.get("/{pk}/devices", response=ListOf[answers.SeenDevice], operation_id="nodes_devices")
def seen(request: HttpRequest, pk: str) -> ListOf[answers.SeenDevice]:
    """What of its host might be allowed, as the node saw it within the last seconds."""
    row = Node.objects.filter(pk=uuid_of(pk, "This node")).first()
    if row is None:
        raise NotFound(_("This node"))
    found = devices.seen_by(actor(request), row)
    return {"items": found, "count": len(found)}
