"""What a program does with a Python client that was generated from the document; mypy reads it strictly.

Beside it, where it is run, is the client: `wadah_client`.
"""

from wadah_client.api.environments import (
    environments_create,
    environments_delete,
    environments_get,
    environments_list,
    environments_update,
)
from wadah_client.api.nodes import nodes_list
from wadah_client.api.plans import plans_create
from wadah_client.client import AuthenticatedClient
from wadah_client.models.changed_environment import ChangedEnvironment
from wadah_client.models.environment_to_change import EnvironmentToChange
from wadah_client.models.facts_of_node import FactsOfNode
from wadah_client.models.limits import Limits
from wadah_client.models.limits_in_part import LimitsInPart
from wadah_client.models.listed_environment_list import ListedEnvironmentList
from wadah_client.models.new_environment import NewEnvironment
from wadah_client.models.new_plan import NewPlan
from wadah_client.models.node_list import NodeList
from wadah_client.models.one_environment import OneEnvironment
from wadah_client.models.operation_kind import OperationKind
from wadah_client.models.plan import Plan
from wadah_client.models.problem import Problem
from wadah_client.models.state import State


def make(client: AuthenticatedClient, tenant: str) -> ChangedEnvironment:
    limits = LimitsInPart(cpu=0.5, memory_mb=64, disk_mb=128)
    body = NewEnvironment(name="made-1", image="busybox", tenant=tenant, limits=limits, tags=["made"])
    made = environments_create.sync(client=client, body=body)
    assert isinstance(made, ChangedEnvironment), made
    assert made.operation is not None
    kind: OperationKind = made.operation.kind
    assert kind is OperationKind.CREATE
    cpu: float = made.limits.cpu
    assert cpu == 0.5
    return made


def look(client: AuthenticatedClient, made: ChangedEnvironment) -> None:
    found = environments_list.sync(client=client, tag=["made"])
    assert isinstance(found, ListedEnvironmentList), found
    names: list[str] = [one.name for one in found.items]
    assert names == ["made-1"]
    one = environments_get.sync(str(made.id), client=client)
    assert isinstance(one, OneEnvironment), one
    state: State = one.state
    assert state is State.PROVISIONING
    assert one.created_at.tzinfo is not None
    assert one.traffic.in_bytes == 0
    assert not one.pending_restart.security, "nothing waits for a start"


def look_at_what_there_is(client: AuthenticatedClient) -> None:
    found = nodes_list.sync(client=client)
    assert isinstance(found, NodeList), found
    facts: FactsOfNode = found.items[0].facts
    cpus = facts.cpus
    assert isinstance(cpus, int) and cpus >= 1
    limits = Limits(cpu=0.25, memory_mb=48, disk_mb=64)
    plan = plans_create.sync(client=client, body=NewPlan(name="Little", slug="little", limits=limits))
    assert isinstance(plan, Plan), plan
    memory_mb: int = plan.limits.memory_mb
    assert memory_mb == 48


def change(client: AuthenticatedClient, made: ChangedEnvironment) -> None:
    body = EnvironmentToChange(limits=LimitsInPart(memory_mb=96), description="More of it")
    changed = environments_update.sync(str(made.id), client=client, body=body, if_match=str(made.version))
    assert isinstance(changed, ChangedEnvironment), changed
    assert (changed.limits.memory_mb, changed.limits.cpu) == (96, 0.5)
    assert changed.description == "More of it"
    late = environments_update.sync(str(made.id), client=client, body=body, if_match=str(made.version))
    assert isinstance(late, Problem), late
    assert late.status == 412


def delete(client: AuthenticatedClient, made: ChangedEnvironment) -> None:
    deleted = environments_delete.sync(str(made.id), client=client, now=True)
    assert isinstance(deleted, ChangedEnvironment), deleted
    assert deleted.state is State.DELETING
