"""What a jail has beside an environment: its number."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Max

from panel.environments.features import Feature, Reserved
from panel.environments.models import Environment
from panel.jails.models import JailNumber
from panel.quotas.models import Resource
from runtime.contract import EnvironmentSpec, Kind


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

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        if environment.kind == Kind.JAIL:
            JailNumber.objects.filter(environment=environment).delete()
        return {}
