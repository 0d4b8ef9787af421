"""How a domain is shown."""

from django.conf import settings

from panel.domains import answers
from panel.domains.feature import url_of
from panel.domains.models import Domain
from panel.domains.naming import shown_name
from panel.domains.owning import PROBLEMS, record_of
from panel.domains.table import state_of


def problem_of(row: Domain) -> str:
    return str(PROBLEMS.get(row.problem, row.problem))


def front() -> answers.Front:
    return {
        "is_there": bool(settings.WADAH.domains_listen),
        "certificates": "acme" if settings.WADAH.acme_directory else "internal",
    }


def show(row: Domain) -> answers.Domain:
    """Never the hash of a password."""
    name, value = record_of(row)
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "name": row.name,
        "shown_name": shown_name(row.name),
        "url": url_of(row),
        "state": str(state_of(row)),
        "proved_by": row.proved_by,
        "record": {"type": "TXT", "name": name, "value": value} if row.proved_at is None else None,
        "problem": problem_of(row),
        "looked_at": row.looked_at.isoformat() if row.looked_at else None,
        "https": row.https,
        "redirect_to": row.redirect_to,
        "users": sorted(row.users),
        "balance": row.balance,
        "health_path": row.health_path,
        "targets": [
            {
                "environment": str(one.environment_id),
                "environment_name": one.environment.name,
                "port": one.port,
                "is_drained": one.is_drained,
            }
            for one in row.targets.all()
        ],
        "front": front(),
        "version": row.version,
        "created_at": row.created_at.isoformat(),
    }
