"""Domains, the environments behind each, and who had a name before."""

import secrets
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.rights.scope import Scoped
from panel.states import Tone
from runtime.contract.domain import Balance


class DomainState(models.TextChoices):
    UNPROVED = "unproved", _("not proved")
    SERVED = "served", _("served")
    CLOSED = "closed", _("closed")

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {DomainState.UNPROVED: Tone.WARN, DomainState.SERVED: Tone.OK, DomainState.CLOSED: Tone.OFF}


class ProvedBy(models.TextChoices):
    """Why a name is believed to be its tenant's."""

    BELOW = "below", _("it lies below the provider's own name")
    TXT = "txt", _("a TXT record")
    ADDRESS = "address", _("its address")


class Domains(Scoped["Domain"]):
    """Whole tenants' alone: who sees one environment of a tenant sees no domain of it."""


def _token() -> str:
    return secrets.token_hex(16)


class Domain(models.Model):
    """A name that a tenant has served by the installation's front. Several may have the same one waiting; once
    it is proved, one has it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253)
    """As DNS has it: small letters, IDNA."""
    https = models.BooleanField(default=True)
    redirect_to = models.CharField(max_length=400, blank=True, default="")
    users = models.JSONField(default=dict, blank=True)
    """Who may look: name and hash (`panel.domains.passwords`)."""
    balance = models.CharField(
        max_length=16, choices=[(one.value, one.value) for one in Balance], default=Balance.ROUND_ROBIN
    )
    health_path = models.CharField(max_length=200, blank=True, default="")
    token = models.CharField(max_length=64, default=_token)
    """What its TXT record says."""
    proved_by = models.CharField(max_length=8, choices=ProvedBy.choices, blank=True, default="")
    proved_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    """When DNS was last asked whose it is."""
    problem = models.CharField(max_length=32, blank=True, default="")
    """Why it isn't proved (`panel.domains.owning.PROBLEMS`); empty: it is, or wasn't looked at yet."""
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = Domains.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="domain_once"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(proved_at__isnull=False), name="domain_served_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DomainTarget(models.Model):
    """One environment behind a name."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="targets")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="domain_targets")
    port = models.PositiveIntegerField()
    is_drained = models.BooleanField(default=False)
    """Gets no new request, while what it runs is replaced."""

    objects: "models.Manager[Any]" = models.Manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["domain", "environment"], name="domain_target_once"),
            models.CheckConstraint(condition=models.Q(port__range=(1, 65535)), name="domain_port_exists"),
        ]

    def __str__(self) -> str:
        return f"{self.domain_id} → {self.port}"


class FormerDomain(models.Model):
    """A name that a tenant gave up. It may lead here for long, which proves nothing of who comes next."""

    tenant_id = models.UUIDField()
    name = models.CharField(max_length=253)
    ended_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["name"], name="former_domain")]

    def __str__(self) -> str:
        return self.name
