"""An example of each request, for the OpenAPI document."""

from datetime import date, timedelta
from typing import Any

_LIMITS = {"cpu": 1, "memory_mb": 512, "disk_mb": 4096}
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX me@laptop"
_SOON = f"{date.today() + timedelta(days=30)}T00:00:00Z"
_COMPOSE = """services:
  web:
    image: nginx:1.27
    ports: ["8080:80"]
    depends_on: [db]
  db:
    image: postgres:16
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:-}"}
    volumes: ["data:/var/lib/postgresql/data"]
volumes:
  data:
"""
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
    "environments_rescue": {"network": False},
    "environments_reinstall": {"image": "debian-12", "keep_old": True},
    "environments_credentials": {"root_password": "correct-horse-battery"},
    "environments_add_addresses": {"family": 4, "count": 1},
    "environments_add_forward": {"protocol": "tcp", "port": 443, "description": "HTTPS"},
    "environments_commit": {"name": "web", "tag": "1"},
    "environments_attach": {"timeout_s": 10},
    "environments_exec": {"command": ["uname", "-a"], "timeout_s": 10},
    "snapshots_create": {"name": "before the upgrade"},
    "schedules_create": {
        "environment": "0b9b3c56-8f0e-4a57-9d0c-3f5f0a1c2d3e",
        "cron": "0 3 * * *",
        "keep": {"daily": 7, "weekly": 4},
    },
    "schedules_update": {"is_on": False},
    "snapshots_restore": {"keep_current": True},
    "files_move": {"paths": ["/root/notes.txt"], "name": "notes-2026.txt"},
    "files_copy": {"paths": ["/srv/site"], "into": "/srv/old", "if_exists": "keep_both"},
    "files_delete_many": {"paths": ["/srv/a", "/srv/b"], "trash": True},
    "files_attributes": {"paths": ["/srv/site"], "mode": "640", "owner": "www-data", "recursive": True},
    "files_pack": {"paths": ["/srv/site"], "to": "/srv/site.tar.gz"},
    "files_unpack": {"path": "/srv/site.tar.gz", "into": "/srv/again"},
    "files_trash_restore": {"ids": ["1767225600000000000-0a1b2c3d"]},
    "files_trash_empty": {"ids": ["1767225600000000000-0a1b2c3d"]},
    "backup_targets_add": {"tenant": "acme", "name": "nightly"},
    "backup_targets_change": {"upload_mbit_s": 200},
    "environment_backups_create": {"target": "nightly", "name": "before the upgrade"},
    "environment_backups_restore": {"as": "new", "name": "web-1-again"},
    "backups_put_back": {"path": "/etc/fstab"},
    "backups_change": {"kept_until": "2030-01-31T00:00:00Z"},
    "backups_prove": {"probe": ["systemctl", "is-active", "--quiet", "nginx"]},
    "environment_backups_prove": {},
    "backups_restore": {"as": "in_place"},
    "builds_create": {
        "tenant": "acme",
        "name": "web",
        "git": {"url": "https://git.example.com/acme/web.git", "branch": "main"},
    },
    "builds_update": {"folder": "backend", "secrets": {"npm": "the token of a package registry"}},
    "builds_run": {"tag": "1.4"},
    "jails_template": {"template": "PKG nginx\nSERVICE nginx start\nRDR tcp 20080 80\n"},
    "jails_base_updates_preview": {"tenant": "acme", "image": "debian-12"},
    "jails_base_updates_create": {"tenant": "acme", "image": "debian-12", "command": ["/bin/is-well"]},
    "stages_create": {"tenant": "acme", "line": "shop", "name": "production", "environments": ["shop-1"]},
    "stages_update": {"needs_yes": True},
    "stages_deploy": {"image": "registry.example.com/shop:1.4"},
    "domains_create": {"name": "shop.example.com", "environment": "web-1", "port": 80},
    "domains_update": {"basic_auth": {"ali": "a password for those who may look"}},
    "domains_add_target": {"environment": "web-2", "port": 80},
    "volumes_create": {"tenant": "acme", "name": "data", "size_mb": 10240},
    "volumes_update": {"size_mb": 20480},
    "volumes_attach": {"environment": "web-1", "path": "/srv/data"},
    "volumes_detach": {"environment": "web-1"},
    "volume_backups_create": {"target": "nightly", "name": "before the upgrade", "keep_days": 30},
    "backups_restore_volume": {"name": "data-2"},
    "volumes_snapshots_create": {"name": "before the upgrade"},
    "volumes_snapshots_restore": {"keep_current": True},
    "volumes_snapshots_clone": {"name": "data-2"},
    "stacks_create": {
        "tenant": "acme",
        "name": "shop",
        "compose": _COMPOSE,
        "variables": {"POSTGRES_PASSWORD": "a-long-one"},
    },
    "stacks_replace": {"compose": _COMPOSE},
    "stacks_update": {"variables": {"POSTGRES_PASSWORD": "another-one"}},
    "cpu_pools_create": {
        "node": "0b6f3c55-55a5-4a4c-8d0e-4a3c1d0f9f2a",
        "name": "databases",
        "processors": "2-3",
    },
    "devices_create": {
        "node": "0b6f3c55-55a5-4a4c-8d0e-4a3c1d0f9f2a",
        "name": "modem",
        "udev": ["ID_SERIAL=FTDI_FT232R_USB_UART_A50285BI"],
        "inside": "/dev/ttyUSB0",
    },
    "devices_update": {"shared": True},
    "environments_devices_set": {"devices": [{"name": "modem", "access": "read-write"}]},
    "cpu_pools_update": {"processors": "2-5"},
    "jails_import": {
        "tenant": "acme",
        "image": "debian-12",
        "conf": 'allow.raw_sockets;\nweb { host.hostname = "${name}"; exec.start = "/usr/sbin/httpd -f"; }\n',
    },
    "catalogue_take": {"tenant": "acme", "name": "blog"},
    "stacks_scale": {"scale": {"web": 3}},
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
    "registries_inspect": {"tenant": "acme", "image": "registry.example.org/shop/web:1.4"},
    "registries_add": {"host": "registry.example.org", "username": "acme", "password": "a-read-only-token"},
    "nodes_update": {"overcommit": {"cpu": 8, "memory_mb": 1.2, "disk_mb": None}},
}


def show_examples(document: dict[str, Any]) -> None:
    """Puts them into an OpenAPI document."""
    for path in document["paths"].values():
        for operation in path.values():
            example = EXAMPLES.get(operation.get("operationId", ""))
            for kind in operation.get("requestBody", {}).get("content", {}).values():
                if example is not None:
                    kind["example"] = example
