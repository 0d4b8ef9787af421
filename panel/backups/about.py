"""What an environment is, beside its files: kept in the panel to make one like it, and in the repository for
whoever has lost the panel."""

import json
from typing import Any

from panel.environments.models import Environment
from panel.environments.options import of_a_copy


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


def text_of(row: Environment) -> str:
    return json.dumps({"id": str(row.pk), "tenant": row.tenant.slug, **document_of(row)}, indent=1)
