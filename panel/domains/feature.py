"""What domains are to each environment: the names that lead to it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import UUIDField
from django.utils.translation import gettext_lazy

from panel.domains.models import Domain, DomainTarget
from panel.domains.services import forget_former
from panel.domains.table import state_of, write_soon
from panel.environments.features import Feature, Tab
from panel.environments.models import Environment
from panel.prepared import Given, Prepared
from panel.quotas.models import Resource
from runtime.contract import Report

_OF = Prepared(lambda: DomainTarget.objects.filter(environment=Given("environment", UUIDField()))[:1])


class Domains(Feature):
    tabs = (Tab("domains", gettext_lazy("Domains"), 22),)

    def reported(self, environment: Environment, report: Report) -> None:
        """It may run, or run no more, or be well, or have another address."""
        if _OF.first(environment=environment.pk) is not None:
            write_soon()

    def trashed(self, environment: Environment) -> Mapping[Resource, int]:
        """Its names stay its own, and are closed until it is brought back."""
        write_soon()
        return {}

    def brought_back(self, environment: Environment) -> Mapping[str, Any]:
        write_soon()
        return {}

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        DomainTarget.objects.filter(environment=environment).delete()
        write_soon()
        return {}

    def swept(self) -> None:
        forget_former()

    def shown_alone(self, environment: Environment) -> Mapping[str, Any]:
        return {
            "domains": [
                {
                    "domain": str(one.domain_id),
                    "name": one.domain.name,
                    "port": one.port,
                    "url": url_of(one.domain),
                    "state": str(state_of(one.domain)),
                }
                for one in targets_of(environment)
            ]
        }

    def overview(self, environment: Environment, query: Mapping[str, str]) -> Mapping[str, Any]:
        found = [
            {"row": one, "url": url_of(one.domain), "state": state_of(one.domain)}
            for one in targets_of(environment)
        ]
        return {"names": found}


def targets_of(environment: Environment) -> Sequence[DomainTarget]:
    rows = DomainTarget.objects.filter(environment=environment).select_related("domain__tenant")
    return list(rows.prefetch_related("domain__targets").order_by("domain__name"))


def url_of(row: Domain) -> str:
    """As people open it."""
    http, tls = settings.WADAH.domains_ports.split(",")
    scheme, port, usual = ("https", tls, "443") if row.https else ("http", http, "80")
    return f"{scheme}://{row.name}" + ("" if port == usual else f":{port}") + "/"
