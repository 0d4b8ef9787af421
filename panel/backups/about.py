"""What is backed up, an environment or a volume. What it is, beside its files, is kept in the panel to make one
like it, and in the repository for whoever has lost the panel."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.environments.options import of_a_copy
from panel.plans.models import PlanVersion
from panel.volumes.models import Volume


@dataclass(frozen=True)
class Backed:
    """A locked row that a backup is made of."""

    row: Environment | Volume
    columns: Mapping[str, Any]
    """Of the backup's row: which of the two it is of."""
    document: Mapping[str, Any]
    plan: PlanVersion | None = None
    """Which says how many backups it may have."""

    @property
    def sort(self) -> str:
        """As a repository's tags and the node's job call it."""
        return "environment" if isinstance(self.row, Environment) else "volume"

    @property
    def text(self) -> str:
        row = self.row
        return json.dumps({"id": str(row.pk), "tenant": row.tenant.slug, **self.document}, indent=1)

    def too_many(self, most: int) -> str:
        if isinstance(self.row, Environment):
            return _("An environment has at most %(most)s backups.") % {"most": most}
        return _("A volume has at most %(most)s backups.") % {"most": most}


def environment(row: Environment) -> Backed:
    return Backed(row, {"environment": row}, document_of(row), row.plan_version)


def volume(row: Volume) -> Backed:
    document = {
        "kind": "volume",
        "image": "",
        "name": row.name,
        "size_mb": row.size_mb,
        "volume_class": str(row.volume_class),
        "is_shared": row.is_shared,
    }
    return Backed(row, {"volume": row, "is_of_volume": True}, document)


def document_of(row: Environment) -> dict[str, Any]:
    """Its intent without secrets: no password, neither of root nor of a registry."""
    plan = row.plan_version.plan.slug if row.plan_version is not None and row.follows_plan else ""
    return {
        "name": row.name,
        "description": row.description,
        "image": row.image,
        "kind": row.kind,
        "kernel": row.kernel,
        "plan": plan,
        "limits": row.limits,
        "ssh_keys": row.ssh_keys,
        "options": of_a_copy(row.intent),
    }
