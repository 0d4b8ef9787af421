"""How much is on each volume, as its node tells."""

from panel.nodes.models import Node
from panel.volumes.models import Volume
from runtime.contract import UsageReport


def take_in(node: Node, report: UsageReport) -> None:
    """Writes what changed; a no-op where nothing did, or an older report comes late."""
    if not report.volumes:
        return
    told = {one.volume_id: one.bytes for one in report.volumes}
    rows = Volume.objects.filter(node=node, pk__in=told).only("pk", "used_bytes", "used_at")
    changed = [
        row
        for row in rows
        if row.used_bytes != told[row.pk] and (row.used_at is None or row.used_at < report.at)
    ]
    for row in changed:
        row.used_bytes, row.used_at = told[row.pk], report.at
    Volume.objects.bulk_update(changed, ["used_bytes", "used_at"])
