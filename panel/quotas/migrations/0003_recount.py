"""Sums as they are counted now: a child's limit is taken from the tenant above it."""

from collections import defaultdict

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Count

from panel.quotas.recount import Sums, expected, held_by_limits

_NEW = ("swap_mb", "processes", "backups")


def recount(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    tenant_model, quota = apps.get_model("tenants", "Tenant"), apps.get_model("quotas", "Quota")
    quota.objects.bulk_create(
        [quota(tenant=tenant, resource=resource) for tenant in tenant_model.objects.all() for resource in _NEW],
        ignore_conflicts=True,
    )
    own: Sums = defaultdict(int)
    living = apps.get_model("environments", "Environment").objects.filter(deleted_at=None)
    for tenant, limits in living.values_list("tenant_id", "limits"):
        for key, amount in held_by_limits(tenant, limits).items():
            own[key] += amount
    addresses = apps.get_model("networks", "Address").objects.filter(released_at=None, family=4)
    forwards = apps.get_model("networks", "PortForward").objects.all()
    for resource, rows in (("addresses", addresses), ("forwards", forwards)):
        for tenant, count in rows.values_list("tenant_id").annotate(n=Count("pk")).order_by():
            if tenant is not None:
                own[tenant, resource] += count
    tenants = tenant_model.objects.values_list("pk", "parent_id", "path")
    rows = quota.objects.values_list("tenant_id", "resource", "limit", "overbook_percent")
    sums = expected(tenants, own, rows)
    for row in quota.objects.all():
        row.reserved = sums[row.tenant_id, row.resource]
        row.highest = max(row.highest, row.reserved)
        row.save(update_fields=["reserved", "highest"])


class Migration(migrations.Migration):
    dependencies = [
        ("quotas", "0002_soft_and_alerts"),
        ("tenants", "0002_depth_and_deletion"),
        ("environments", "0001_initial"),
        ("networks", "0001_initial"),
    ]
    operations = [migrations.RunPython(recount, migrations.RunPython.noop)]
