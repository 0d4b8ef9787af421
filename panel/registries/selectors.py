"""How a registry is asked for a tenant."""

from django.conf import settings

from panel.at_rest import plain
from panel.registries import answers, own
from panel.registries.models import Registry
from panel.registries.signing import kind_of, policies_of
from panel.tenants.models import Tenant
from runtime.contract import Reference, RegistryAccess


def access_of(tenant: Tenant, image: str) -> RegistryAccess:
    """By the nearest row: the tenant's own, one of a tenant above it, the installation's. What an administrator
    allowed for the host holds for whoever's name is used there. The installation's own is asked by a pass, for
    what belongs to the tenant or to one above it."""
    reference = Reference.parse(image)
    host = reference.host
    rows = list(Registry.objects.filter(host=host, tenant_id__in=tenant.chain))
    rows += list(Registry.objects.filter(host=host, tenant=None))
    if own.is_offered() and host == own.host():
        access = _own_access(tenant, reference.repository)
        return access.model_copy(update={"signatures": policies_of(rows)})
    if not rows:
        return RegistryAccess()
    place = {pk: number for number, pk in enumerate(reversed(tenant.chain))}
    rows.sort(key=lambda row: place.get(row.tenant_id, len(place)) if row.tenant_id else len(place))
    named = next((row for row in rows if row.username or row.password), rows[0])
    return RegistryAccess(
        username=named.username,
        password=plain(named.password),
        insecure=any(row.insecure for row in rows),
        inward=any(row.inward for row in rows),
        signatures=policies_of(rows),
    )


def _own_access(tenant: Tenant, repository: str) -> RegistryAccess:
    slug = repository.partition("/")[0]
    is_theirs = Tenant.objects.filter(pk__in=tenant.chain, slug=slug).exists()
    return own_access(own.pass_for(tenant.pk, repository) if is_theirs else "")


def own_access(password: str) -> RegistryAccess:
    """By a pass, or as nobody. It is this machine's front; only a certificate for a name is one that others
    vouch for."""
    return RegistryAccess(
        username=own.NODE if password else "",
        password=password,
        insecure=not (settings.WADAH.is_secure and settings.WADAH.has_name),
        inward=True,
    )


def show(row: Registry) -> answers.Registry:
    """As the API gives it: never the password."""
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "host": row.host,
        "username": row.username,
        "has_password": bool(row.password),
        "insecure": row.insecure,
        "inward": row.inward,
        "signed_by": kind_of(row),
        "signature_key": row.signature_key or None,
        "lookaside": row.lookaside or None,
        "created_at": row.created_at.isoformat(),
    }
