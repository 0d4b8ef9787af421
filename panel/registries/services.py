"""Registries named, and taken out again."""

import re
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from panel.at_rest import encrypted
from panel.audit.services import record
from panel.contract_input import parse
from panel.errors import Conflict, Invalid, NotFound
from panel.registries.models import Registry
from panel.registries.signing import checked
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from runtime.contract import RegistryAccess
from runtime.contract.app import HOST_PATTERN

#: Of one tenant.
MOST = 100


def add_registry(
    actor: Actor,
    tenant: Tenant | None,
    *,
    host: str,
    username: str = "",
    password: str = "",
    insecure: bool = False,
    inward: bool = False,
    signed_by: str = "",
    signature_key: str = "",
    lookaside: str = "",
) -> Registry:
    """Name and password that a tenant's images are asked for by. Without a tenant it is the installation's;
    that, and what opens a way inward or without TLS, is for administrators. By whose key its images must be
    signed is for those of the tenant. Raises `Invalid`, `Conflict`."""
    if tenant is None or insecure or inward:
        actor.require(Permission.SECURITY_MANAGE, tenant)
    if tenant is not None:
        actor.require(Permission.ENVIRONMENT_CREATE, tenant)
        if signed_by:
            actor.require(Permission.TENANT_CHANGE, tenant)
    name = host.strip().lower()
    if not re.fullmatch(HOST_PATTERN, name):
        raise Invalid(
            _("The host of the registry is a name or an address, with a port or without."), field="host"
        )
    given = {"username": username, "password": password, "insecure": insecure, "inward": inward}
    parse(RegistryAccess, given, "")
    signed = checked(signed_by, signature_key, lookaside, insecure=insecure)
    row = Registry(
        tenant=tenant,
        host=name,
        username=username,
        password=encrypted(password),
        insecure=insecure,
        inward=inward,
        **signed,
        created_by=actor.user,
    )
    with transaction.atomic():
        if Registry.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s registries already.") % {"most": MOST}, code="too_many")
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                _("%(host)s is named already.") % {"host": name},
                code="name_taken",
                field="host",
                next_step=_("Take it out first."),
            ) from error
        _record(actor, "registry.add", row)
    return row


def remove_registry(actor: Actor, registry_id: UUID) -> None:
    """What was made from its images goes on; the next image is asked for as by anybody."""
    row = found(actor, registry_id)
    if row.tenant is None or row.insecure or row.inward:
        actor.require(Permission.SECURITY_MANAGE, row.tenant)
    if row.tenant is not None:
        actor.require(Permission.ENVIRONMENT_CREATE, row.tenant)
        if row.signed_by:
            actor.require(Permission.TENANT_CHANGE, row.tenant)
    with transaction.atomic():
        _record(actor, "registry.remove", row)
        row.delete()


def found(actor: Actor, registry_id: UUID) -> Registry:
    """Raises `NotFound` for one that the actor may not see."""
    row = Registry.objects.for_actor(actor).select_related("tenant").filter(pk=registry_id).first()
    if row is None:
        raise NotFound(_("This registry"))
    return row


def _record(actor: Actor, action: str, row: Registry) -> None:
    said = {"host": row.host, "username": row.username, "insecure": row.insecure, "inward": row.inward}
    if row.signed_by:
        said |= {"signed_by": row.signed_by, "signature_key": row.signature_key, "lookaside": row.lookaside}
    before, after = (said, {}) if action.endswith("remove") else ({}, said)
    record(actor, action, tenant_id=row.tenant_id, target=row, before=before, after=after)
