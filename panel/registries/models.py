"""A registry by its host, as one tenant, or the whole installation, asks it."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from panel.rights.scope import Scoped


class Registries(Scoped["Registry"]):
    """Those of the installation are the administrators' own: nobody else sees their names."""


class Registry(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, null=True, blank=True, related_name="registries"
    )
    """None: of the installation, for all tenants that have none of their own for this host."""
    host = models.CharField(max_length=270)
    """With its port, where it has one."""
    username = models.CharField(max_length=255, blank=True, default="")
    password = models.TextField(blank=True, default="")
    """Encrypted (`panel.at_rest`)."""
    insecure = models.BooleanField(default=False)
    """May be asked without TLS, or with a certificate that nobody vouches for."""
    inward = models.BooleanField(default=False)
    """May lie where nobody from outside reaches."""
    signed_by = models.CharField(max_length=16, blank=True, default="")
    """`gpg` or `sigstore`: nothing is run from it that isn't signed so; empty: signatures aren't asked for."""
    signature_key = models.TextField(blank=True, default="")
    """Public, whose signature it must be."""
    lookaside = models.CharField(max_length=400, blank=True, default="")
    """Where signatures of the kind `gpg` lie."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = Registries.as_manager()

    class Meta:
        verbose_name = "registry"
        ordering = ["host", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "host"], name="registry_once"),
            models.UniqueConstraint(
                fields=["host"], condition=Q(tenant=None), name="registry_of_installation_once"
            ),
        ]

    def __str__(self) -> str:
        return self.host
