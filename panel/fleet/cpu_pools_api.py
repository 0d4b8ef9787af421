"""/api/v1/cpu-pools: for administrators of the installation; to everybody else there are none."""

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status
from pydantic import Field

from panel.fleet import answers, cpu_pools
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.rights.asking import actor

router = Router()
_THIS = "This pool"


class PoolChange(Input):
    processors: str = Field(max_length=4096, description="By number, as cpuset(7) writes them: 2-3,6.")


class NewPool(PoolChange):
    node: str = Field(max_length=36)
    name: str = Field(max_length=63)


@router.get("", response=ListOf[answers.CpuPool], operation_id="cpu_pools_list")
def list_(request: HttpRequest) -> ListOf[answers.CpuPool]:
    rows = [cpu_pools.show(row) for row in cpu_pools.rows_of(actor(request))]
    return {"items": rows, "count": len(rows)}


@router.post("", response={201: answers.CpuPool}, operation_id="cpu_pools_create")
def create(request: HttpRequest, payload: NewPool) -> Status[answers.CpuPool]:
    """At once, while they run, others leave those processors. An environment is put into it by its
    `cpu_pool`, when the node holds it."""
    node = uuid_of(payload.node, "This node")
    made = cpu_pools.add_pool(actor(request), node, name=payload.name, processors=payload.processors)
    return Status(201, cpu_pools.show(made))


@router.patch("/{pk}", response=answers.CpuPool, operation_id="cpu_pools_update")
def update(request: HttpRequest, pk: str, payload: PoolChange) -> answers.CpuPool:
    changed = cpu_pools.change_pool(actor(request), uuid_of(pk, _THIS), processors=payload.processors)
    return cpu_pools.show(changed)


@router.delete("/{pk}", response={204: None}, operation_id="cpu_pools_delete")
def delete(request: HttpRequest, pk: str) -> HttpResponse:
    """One that an environment is in stays: 409."""
    cpu_pools.delete_pool(actor(request), uuid_of(pk, _THIS))
    return HttpResponse(status=204)
