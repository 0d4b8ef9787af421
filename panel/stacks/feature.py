"""What a stack is to each of its environments: the names that it finds others by."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import UUIDField

from panel.environments.features import Feature, Parts, Reserved
from panel.environments.models import Environment
from panel.prepared import Given, Prepared
from panel.quotas.models import Resource
from panel.stacks import work
from panel.stacks.joining import FIELD, Place
from panel.stacks.models import Member, Stack
from panel.stacks.names import told
from panel.tenants.models import Tenant
from runtime.contract import Kind, Report

_NAMES = Prepared(
    lambda: Member.objects.filter(environment=Given("environment", UUIDField())).values_list("names", flat=True)
)
_STACK = Prepared(
    lambda: Member.objects.filter(environment=Given("environment", UUIDField())).values_list("stack", flat=True)
)


class Joins(Reserved):
    def __init__(self, environment: Environment, place: Place) -> None:
        self._environment, self._place = environment, place
        self.audited = {FIELD: place.stack.name}

    def save(self) -> None:
        stack, copy = self._place.stack, self._place.copy
        Member.objects.create(
            stack=stack,
            environment=self._environment,
            service=copy.service.name,
            number=copy.number,
            digests=dict(copy.digests),
        )


class InStacks(Feature):
    """Only apps are in stacks: nobody else's spec or report costs a look."""

    def reserve(self, environment: Environment, asked: Mapping[str, Any]) -> Reserved:
        place = asked.get(FIELD)
        return Joins(environment, place) if isinstance(place, Place) else Reserved()

    def parts(self, environment: Environment) -> Parts:
        names = _NAMES.first(environment=environment.pk) if environment.kind == Kind.APP else None
        return {"network": {"names": told(names)}} if names else {}

    def reported(self, environment: Environment, report: Report) -> None:
        if not report.final or environment.kind != Kind.APP:
            return
        stack: UUID | None = _STACK.first(environment=environment.pk)
        if stack is not None:
            work.look_on_commit(stack)

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        member = Member.objects.filter(environment=environment).first()
        if member is not None:
            member.delete()
            work.look_on_commit(member.stack_id)
        return {}

    def swept(self) -> None:
        work.look_at_all()

    def emptied(self, tenant: Tenant) -> bool:
        """Their environments are gone by now."""
        Stack.objects.filter(tenant=tenant).delete()
        return True

    def shown_alone(self, environment: Environment) -> Mapping[str, Any]:
        member = Member.objects.select_related("stack").filter(environment=environment).first()
        if member is None:
            return {FIELD: None}
        stack = {"id": str(member.stack_id), "name": member.stack.name}
        return {FIELD: {**stack, "service": member.service, "number": member.number}}
