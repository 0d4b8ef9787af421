"""Where an image is built from, and each build of it."""

import uuid

from django.conf import settings
from django.db import models

from panel.rights.scope import Scoped


class BuildSources(Scoped["BuildSource"]):
    """Whole tenants' alone: who sees one environment of a tenant sees nothing of what it builds."""


class BuildSource(models.Model):
    """What becomes the repository `TENANT/NAME` of the installation's registry."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="build_sources")
    name = models.CharField(max_length=120)
    git = models.JSONField(null=True, blank=True)
    """As `runtime.contract.build.GitSource`, without what an administrator allows; None: contexts are handed
    in."""
    options = models.JSONField(default=dict)
    """Folder, dockerfile, target, args, tag and timeout, as `panel.builds.options.Options`."""
    given = models.TextField(blank=True, default="")
    """What opens the repository, and what a build may know: encrypted (`panel.at_rest`)."""
    hook = models.TextField(blank=True, default="")
    """The secret of its webhook, encrypted; empty: there is none."""
    stage = models.ForeignKey(
        "stages.Stage", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    """Where what a push has built goes by itself."""
    node = models.ForeignKey("nodes.Node", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """That has the layers of its last build."""
    last_number = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    """By whose rights a push builds."""

    objects = BuildSources.as_manager()

    class Meta:
        verbose_name = "build source"
        ordering = ["tenant", "name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="build_source_once")]

    def __str__(self) -> str:
        return self.name


class Build(models.Model):
    """One build of a source."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(BuildSource, on_delete=models.CASCADE, related_name="builds")
    number = models.PositiveIntegerField()
    operation = models.OneToOneField("operations.Operation", on_delete=models.CASCADE, related_name="app_build")
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="+")
    archive = models.UUIDField(null=True, blank=True)
    """The context that was handed in, until the build has ended."""
    image = models.CharField(max_length=400)
    """`HOST/TENANT/NAME:TAG`."""
    digest = models.CharField(max_length=80, blank=True, default="")
    commit = models.CharField(max_length=64, blank=True, default="")
    pushed = models.CharField(max_length=64, blank=True, default="")
    """Of the push that asked for it, the commit; empty: a person did."""
    deployed = models.CharField(max_length=400, blank=True, default="")
    """Why it did not go into its stage; empty: it did, or there is none."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["source", "number"], name="build_number_once")]

    def __str__(self) -> str:
        return f"{self.source} #{self.number}"


class Delivery(models.Model):
    """A message of a forge that was taken in: the same one isn't twice."""

    source = models.ForeignKey(BuildSource, on_delete=models.CASCADE, related_name="deliveries")
    key = models.CharField(max_length=64)
    """SHA-256 of what tells it from others."""
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="delivery_once")]

    def __str__(self) -> str:
        return self.key
