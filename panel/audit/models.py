"""The audit record. Rows are only added; the database itself refuses to change or delete one."""

import uuid
from typing import TYPE_CHECKING, Any

from django.db import models

from panel.rights.permissions import Permission
from panel.rights.scope import inside

if TYPE_CHECKING:
    from panel.rights.actor import Actor


class AuditRecords(models.QuerySet["AuditRecord"]):
    def for_actor(self, actor: "Actor") -> "AuditRecords":
        """Of tenants whose record the actor may read; deeds without a tenant only for administrators."""
        condition = actor.scope(Permission.AUDIT_VIEW).on_tenants()
        if condition is None:
            return self.all()
        return self.filter(inside(condition, "chain"))


class AuditHead(models.Model):
    """The end of a chain, sealed with a key outside the database: a tail that was cut off is missed."""

    chain = models.UUIDField(primary_key=True)
    sequence = models.PositiveBigIntegerField()
    digest = models.CharField(max_length=64)
    seal = models.CharField(max_length=64)
    """HMAC-SHA-256 over the three."""

    def __str__(self) -> str:
        return f"{self.chain} at {self.sequence}"


class AuditRecord(models.Model):
    """One deed. `digest` covers the row and the digest before it in the same chain."""

    id = models.BigAutoField(primary_key=True)
    chain = models.UUIDField()
    """The tenant's id, or the nil UUID for deeds that belong to the whole installation."""
    sequence = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    action = models.CharField(max_length=64)
    """As `environment.create`."""
    who_id = models.UUIDField(null=True, blank=True)
    who = models.CharField(max_length=150)
    token_id = models.UUIDField(null=True, blank=True)
    support_id = models.UUIDField(null=True, blank=True)
    """The support access that it was done in."""
    is_denied = models.BooleanField(default=False)
    """It was tried, and refused."""
    from_where = models.CharField(max_length=64, blank=True, default="")
    target_type = models.CharField(max_length=32, blank=True, default="")
    target_id = models.CharField(max_length=64, blank=True, default="")
    target_name = models.CharField(max_length=150, blank=True, default="")
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    operation_id = models.UUIDField(null=True, blank=True)
    previous = models.CharField(max_length=64, blank=True, default="")
    digest = models.CharField(max_length=64)

    objects = AuditRecords.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["chain", "-at"]),
            models.Index(fields=["target_id", "-at"]),
        ]
        constraints = [models.UniqueConstraint(fields=["chain", "sequence"], name="audit_sequence_once")]

    def __str__(self) -> str:
        return f"{self.action} by {self.who}"

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """Name, value before and value after of everything that the deed changed."""
        return [
            (key, self.before.get(key, ""), self.after.get(key, "")) for key in {**self.before, **self.after}
        ]

    @property
    def tenant_id(self) -> uuid.UUID | None:
        return self.chain if self.chain.int else None
