"""What requests hold, for the OpenAPI document: an example of each, and the fields of what is a plain object in
the handlers, since the contract checks it."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel

from panel.environments.document import Intent
from panel.plans.terms import Allowances, Choices
from runtime.contract import Device, Limits

_LIMITS = {"cpu": 1, "memory_mb": 512, "disk_mb": 4096}
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX me@laptop"
_SOON = f"{date.today() + timedelta(days=30)}T00:00:00Z"
#: By operation. `tests/panel/api/test_bodies.py` sends them.
EXAMPLES: dict[str, Any] = {
    "environments_create": {
        "name": "web-1",
        "image": "debian-12",
        "tenant": "acme",
        "plan": "small",
        "ssh_keys": [_KEY],
        "tags": ["web", "production"],
        "restart": {"mode": "always"},
    },
    "environments_update": {"limits": {"memory_mb": 1024}, "description": "The shop's front"},
    "environments_preview": {"plan": "small"},
    "environments_stop": {"timeout_s": 20},
    "environments_undelete": {"name": "web-1-again"},
    "environments_reinstall": {"image": "debian-12", "keep_old": True},
    "environments_credentials": {"root_password": "correct-horse-battery"},
    "environments_add_addresses": {"family": 4, "count": 1},
    "environments_add_forward": {"protocol": "tcp", "port": 443, "description": "HTTPS"},
    "environments_exec": {"command": ["uname", "-a"], "timeout_s": 10},
    "snapshots_create": {"name": "before the upgrade"},
    "schedules_create": {
        "environment": "0b9b3c56-8f0e-4a57-9d0c-3f5f0a1c2d3e",
        "cron": "0 3 * * *",
        "keep": {"daily": 7, "weekly": 4},
    },
    "schedules_update": {"is_on": False},
    "snapshots_restore": {"keep_current": True},
    "snapshots_put_back": {"path": "/etc/fstab"},
    "snapshots_clone": {"name": "web-1-copy"},
    "tenants_create": {
        "name": "Acme",
        "slug": "acme",
        "quota": {"environments": 10, "cpu": 8, "memory_mb": 16384},
    },
    "tenants_update": {
        "quota": {"memory_mb": 32768},
        "soft": {"memory_mb": 28000},
        "grace_s": {"memory_mb": 604800},
        "requires_mfa": False,
        "trash_days": 7,
    },
    "tenants_preview_quota": {"quota": {"memory_mb": 8192}},
    "tenants_suspend": {"reason": "The invoice of June is open.", "how": "stop"},
    "members_update": {"role": "operator"},
    "roles_create": {"name": "On call", "permissions": ["environment.view", "environment.power"]},
    "roles_update": {"permissions": ["environment.view", "environment.power", "environment.console"]},
    "invitations_create": {"email": "ada@example.org", "role": "operator"},
    "shares_create": {
        "email": "guest@example.org",
        "permissions": ["environment.power"],
        "ends_at": _SOON,
    },
    "support_enter": {"reason": "Ticket 4711: it does not boot", "minutes": 30},
    "signin_policy_update": {"requires_mfa": False},
    "tokens_create": {
        "tenant": "acme",
        "name": "deploys",
        "permissions": ["environment.view", "environment.power"],
        "networks": ["203.0.113.0/24"],
    },
    "ssh_keys_add": {
        "name": "laptop",
        "text": _KEY,
    },
    "plans_create": {
        "name": "Small",
        "slug": "small",
        "limits": {**_LIMITS, "network_out_bit_s": 100_000_000},
        "allowances": {"addresses": 1, "forwards": 10, "traffic_gb": 1000, "traffic_action": "slow"},
        "choices": {"images": ["debian-12", "busybox"], "devices": ["/dev/net/tun"]},
    },
    "plans_update": {"limits": {"memory_mb": 768}},
    "plans_preview": {"limits": {"memory_mb": 768}},
    "images_build": {"name": "busybox"},
    "registries_add": {"host": "registry.example.org", "username": "acme", "password": "a-read-only-token"},
    "nodes_update": {"overcommit": {"cpu": 8, "memory_mb": 1.2, "disk_mb": None}},
}


def _parts() -> Iterator[tuple[str, type[BaseModel]]]:
    """Options of an environment that have fields of their own."""
    for name, field in Intent.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


#: Fields that are plain objects in the handlers: by schema and name, the model that checks them, and whether a
#: part of it is enough.
_FIELDS: dict[tuple[str, str], tuple[type[BaseModel], bool]] = {
    ("NewEnvironment", "limits"): (Limits, False),
    **{("NewEnvironment", name): (model, True) for name, model in _parts() if model is not Limits},
    **{("EnvironmentToChange", name): (model, True) for name, model in _parts()},
    ("Clone", "limits"): (Limits, False),
    ("NewPlan", "limits"): (Limits, False),
    ("NewPlan", "allowances"): (Allowances, True),
    ("NewPlan", "choices"): (Choices, True),
    ("ChangedPlan", "limits"): (Limits, True),
    ("ChangedPlan", "allowances"): (Allowances, True),
    ("ChangedPlan", "choices"): (Choices, True),
}


def describe_bodies(document: dict[str, Any]) -> None:
    """Puts the examples and fields into an OpenAPI document."""
    schemas = document["components"]["schemas"]
    for (schema, field), (model, in_part) in _FIELDS.items():
        name = f"{model.__name__}{'InPart' if in_part else 'ToSet'}"
        if name not in schemas:
            made = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(made.pop("$defs", {}))
            if in_part:
                made.pop("required", None)
            schemas[name] = made
        properties = schemas[schema]["properties"]
        properties[field] = _reference(properties[field], name)
    for schema in ("NewEnvironment", "EnvironmentToChange"):
        _devices(schemas[schema]["properties"]["devices"])
    for path in document["paths"].values():
        for operation in path.values():
            example = EXAMPLES.get(operation.get("operationId", ""))
            for kind in operation.get("requestBody", {}).get("content", {}).values():
                if example is not None:
                    kind["example"] = example


def _reference(known: Mapping[str, Any], name: str) -> dict[str, Any]:
    """To the schema, or null where that could be sent before."""
    reference = {"$ref": f"#/components/schemas/{name}"}
    may_be_null = any(one.get("type") == "null" for one in known.get("anyOf", []))
    either = [reference, {"type": "null"}] if may_be_null else [reference]
    return {"title": known.get("title", name), "anyOf": either}


def _devices(field: dict[str, Any]) -> None:
    for one in (field, *field.get("anyOf", [])):
        if one.get("type") == "array":
            one["items"] = {"type": "string", "enum": [device.value for device in Device]}
