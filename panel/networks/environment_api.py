"""/api/v1/environments/{id}/{addresses,forwards}"""

from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from panel.environments.accepted import WHAT, accepted
from panel.environments.answers import Accepted, Forward
from panel.environments.models import Environment
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.networks import addresses as addresses_
from panel.networks import answers
from panel.networks import forwards as forwards_
from panel.networks.api import show
from panel.networks.feature import as_shown
from panel.networks.models import Address, PortForward
from panel.operations.selectors import show as show_operation
from panel.rights.asking import actor

router = Router()


class NewForward(Input):
    protocol: str = "tcp"
    port: int
    node_port: int | None = None
    description: str = ""


class NewAddresses(Input):
    family: int = 4
    count: int = 1


@router.get("/{pk}/addresses", response=ListOf[answers.Address], operation_id="environments_addresses")
def addresses(request: HttpRequest, pk: str) -> ListOf[answers.Address]:
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    found = Address.objects.filter(environment=row).held()
    return {"items": [show(one) for one in found], "count": len(found)}


@router.post("/{pk}/addresses", response={202: Accepted}, operation_id="environments_add_addresses")
def add_addresses(request: HttpRequest, pk: str, payload: NewAddresses | None = None) -> Status[Accepted]:
    values = (payload or NewAddresses()).model_dump()
    _made, changed = addresses_.add_addresses(actor(request), uuid_of(pk, WHAT), **values)
    return accepted(request, changed)


@router.delete(
    "/{pk}/addresses/{address}", response={202: Accepted}, operation_id="environments_remove_address"
)
def remove_address(request: HttpRequest, pk: str, address: str) -> Status[Accepted]:
    """By its id, as `GET …/addresses` gives it."""
    address_id = uuid_of(address, "This address")
    return accepted(request, addresses_.remove_address(actor(request), uuid_of(pk, WHAT), address_id))


@router.get("/{pk}/forwards", response=ListOf[Forward], operation_id="environments_forwards")
def forwards(request: HttpRequest, pk: str) -> ListOf[Forward]:
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    found = PortForward.objects.filter(environment=row)
    return {"items": [as_shown(one) for one in found], "count": len(found)}


@router.post("/{pk}/forwards", response={202: answers.AddedForward}, operation_id="environments_add_forward")
def add_forward(request: HttpRequest, pk: str, payload: NewForward) -> Status[answers.AddedForward]:
    forward, operation = forwards_.add_forward(actor(request), uuid_of(pk, WHAT), **payload.model_dump())
    shown = as_shown(forward)
    return Status(202, {**shown, "operation": show_operation(operation) if operation else None})


@router.delete("/{pk}/forwards/{forward}", response={202: Accepted}, operation_id="environments_remove_forward")
def remove_forward(request: HttpRequest, pk: str, forward: str) -> Status[Accepted]:
    forward_id: UUID = uuid_of(forward, "This port forward")
    return accepted(request, forwards_.remove_forward(actor(request), uuid_of(pk, WHAT), forward_id))
