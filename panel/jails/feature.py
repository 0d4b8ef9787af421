"""What a jail has beside an environment: its number."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Max, UUIDField

from panel.environments.features import Feature, Reserved
from panel.environments.models import Environment
from panel.jails.base_tasks import go_on_soon
from panel.jails.models import BaseUpdate, BaseUpdateState, JailNumber
from panel.prepared import Given, Prepared
from panel.quotas.models import Resource
from runtime.contract import EnvironmentSpec, Kind, Report

_ROLLING = Prepared(
    lambda: BaseUpdate.objects.filter(
        tenant=Given("tenant", UUIDField()), state__in=(BaseUpdateState.ROLLING, BaseUpdateState.BACK)
    )[:1]
)


def give_number(environment: Environment) -> None:
    """The next one of its tenant, whose quota is locked; a no-op where it has one."""
    most = JailNumber.objects.filter(tenant=environment.tenant_id).aggregate(most=Max("number"))["most"] or 0
    JailNumber.objects.get_or_create(
        environment=environment, defaults={"tenant_id": environment.tenant_id, "number": most + 1}
    )


class _Numbered(Reserved):
    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def save(self) -> None:
        give_number(self._environment)


class Jails(Feature):
    """Only jails have one: nobody else's change costs a look."""

    def reserve(self, environment: Environment, asked: Mapping[str, Any]) -> Reserved:
        return _Numbered(environment) if environment.kind == Kind.JAIL else Reserved()

    def adopted(self, environment: Environment, spec: EnvironmentSpec) -> None:
        if environment.kind == Kind.JAIL:
            give_number(environment)

    def reported(self, environment: Environment, report: Report) -> None:
        if environment.kind == Kind.JAIL:
            row = _ROLLING.first(tenant=environment.tenant_id)
            if row is not None:
                go_on_soon(row.pk)

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        if environment.kind == Kind.JAIL:
            JailNumber.objects.filter(environment=environment).delete()
        return {}
