"""Every change of a domain: one function each, one transaction each, called by pages and API alike."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.audit.services import record
from panel.clock.services import oldest
from panel.domains import naming
from panel.domains.models import Domain, DomainTarget, FormerDomain, ProvedBy
from panel.domains.passwords import changed_users
from panel.domains.table import write_soon
from panel.domains.tasks import ask_to_look
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NotFound
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.tenants.selectors import locked_state, refuse_suspended
from runtime.contract.domain import Balance

MOST_TARGETS = 50
#: One letter is put behind it.
_MOST_ADDRESS = 400
#: A name that was given up counts so long: else whoever adds and removes has certificates without end.
_COUNTS_FOR = timedelta(days=1)
#: How long somebody who had a name is remembered.
_REMEMBERED = timedelta(days=365)
_PATH = re.compile(r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,199}$")


def add_domain(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str = "",
    targets: Sequence[tuple[Environment, int]] = (),
    **options: Any,
) -> Domain:
    """`targets`: who serves it, by environment and port; `options`: as of `change_domain`. Without a name it
    gets one below the administrator's. It is served as soon as it is proved to be the tenant's."""
    actor.require(Permission.DOMAIN_MANAGE, tenant)
    with transaction.atomic():
        tenant = locked_state(tenant)
        refuse_suspended(tenant)
        if not name:
            if not targets:
                raise Invalid(_("Say which name, or which environment it is for."), field="name")
            name = naming.default_name(targets[0][0].name, tenant)
        row = Domain(tenant=tenant, name=naming.checked_name(name, tenant), created_by=actor.user)
        _check_number(tenant)
        _lay_over(row, options)
        if not targets and not row.redirect_to:
            raise Invalid(_("Say which environment serves it, or where it leads to."), field="environment")
        if naming.is_below_wildcard(row.name):
            row.proved_by, row.proved_at = ProvedBy.BELOW, timezone.now()
        _save_new(row)
        for environment, port in targets:
            _put_behind(actor, row, environment, port)
        _record(actor, "domain.add", row, after=_audited(row))
        _changed(row)
        if row.proved_at is None:
            transaction.on_commit(ask_to_look, robust=True)
    return row


def change_domain(actor: Actor, domain_id: UUID, **options: Any) -> Domain:
    """`https`, `redirect_to`, `basic_auth`, `balance`, `health_path`: what is given; the rest stays."""
    with transaction.atomic():
        row = locked_domain(actor, domain_id)
        refuse_suspended(row.tenant)
        before = _audited(row)
        _lay_over(row, options)
        if not row.redirect_to and not row.targets.exists():
            raise Invalid(_("Say which environment serves it, or where it leads to."), field="redirect_to")
        after = _audited(row)
        if options.get("basic_auth") or after != before:
            row.version += 1
            row.save()
            _record(actor, "domain.change", row, before=before, after=after)
            _changed(row)
    return row


def remove_domain(actor: Actor, domain_id: UUID) -> None:
    """It is served no more, from this moment; its environments go on."""
    with transaction.atomic():
        row = locked_domain(actor, domain_id)
        _record(actor, "domain.remove", row, before=_audited(row))
        if row.proved_at is not None:
            FormerDomain.objects.create(tenant_id=row.tenant_id, name=row.name, ended_at=timezone.now())
        _changed(row)
        row.delete()


def add_target(actor: Actor, domain_id: UUID, environment: Environment, port: int) -> Domain:
    """One more environment of the same tenant behind it; asking again with another port changes the port."""
    with transaction.atomic():
        row = locked_domain(actor, domain_id)
        refuse_suspended(row.tenant)
        _put_behind(actor, row, environment, port)
        _record(actor, "domain.target", row, after={"environment": environment.name, "port": port})
        _count_up(row)
    return row


def remove_target(actor: Actor, domain_id: UUID, environment_id: UUID) -> Domain:
    with transaction.atomic():
        row = locked_domain(actor, domain_id)
        found = row.targets.filter(environment=environment_id).select_related("environment").first()
        if found is None:
            raise NotFound(_("This environment"))
        found.delete()
        _record(actor, "domain.target", row, before={"environment": found.environment.name, "port": found.port})
        _count_up(row)
    return row


def look_now(actor: Actor, domain_id: UUID) -> Domain:
    """DNS is asked by a worker, in a moment."""
    row = found_domain(actor, domain_id)
    actor.require(Permission.DOMAIN_MANAGE, row.tenant)
    if Domain.objects.filter(pk=row.pk, proved_at=None).update(looked_at=None):
        ask_to_look()
    return row


def found_domain(actor: Actor, domain_id: UUID) -> Domain:
    """Raises `NotFound` for one that the actor may not see."""
    rows = Domain.objects.for_actor(actor).select_related("tenant")
    row = rows.prefetch_related("targets__environment__tenant").filter(pk=domain_id).first()
    if row is None:
        raise NotFound(_("This domain"))
    return row


def locked_domain(actor: Actor, domain_id: UUID) -> Domain:
    """Raises `NotFound`, and `Forbidden` for who may see it only."""
    seen = Domain.objects.for_actor(actor).filter(pk=domain_id).values_list("pk", flat=True).first()
    rows = Domain.objects.select_for_update(of=("self",)).select_related("tenant")
    row = rows.filter(pk=seen).first() if seen else None
    if row is None:
        raise NotFound(_("This domain"))
    actor.require(Permission.DOMAIN_MANAGE, row.tenant)
    return row


def forget_former() -> None:
    FormerDomain.objects.filter(ended_at__lt=oldest(_REMEMBERED)).delete()


def _put_behind(actor: Actor, row: Domain, environment: Environment, port: int) -> None:
    actor.require(Permission.ENVIRONMENT_VIEW, environment)
    if environment.tenant_id != row.tenant_id:
        raise Invalid(_("The environment is another tenant's."), field="environment")
    if environment.deleted_at is not None or environment.trashed_at is not None:
        raise Conflict(_("This environment is being deleted."), code="deleting", field="environment")
    if not 1 <= port <= 65535:
        raise Invalid(_("The port inside is 1 to 65535, not %(port)s.") % {"port": port}, field="port")
    if row.targets.exclude(environment=environment).count() >= MOST_TARGETS:
        raise Conflict(
            _("There are %(most)s environments behind it already.") % {"most": MOST_TARGETS}, code="too_many"
        )
    DomainTarget.objects.update_or_create(domain=row, environment=environment, defaults={"port": port})


def _lay_over(row: Domain, options: Mapping[str, Any]) -> None:
    if options.get("https") is not None:
        row.https = bool(options["https"])
    if options.get("redirect_to") is not None:
        row.redirect_to = _address(options["redirect_to"], row.name)
    if options.get("basic_auth") is not None:
        row.users = changed_users(row.users, options["basic_auth"])
    if options.get("balance") is not None:
        known = [one.value for one in Balance]
        if options["balance"] not in known:
            raise Invalid(_("It is one of: %(known)s.") % {"known": ", ".join(known)}, field="balance")
        row.balance = options["balance"]
    if options.get("health_path") is not None:
        path = options["health_path"]
        if path and not _PATH.match(path):
            raise Invalid(_("The path begins with / and has no space, as /healthz."), field="health_path")
        row.health_path = path


def _address(text: str, name: str) -> str:
    """Empty, or an address of the web. Without a path of its own what was asked for is put behind it."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    is_plain = text.isascii() and not re.search(r"[\x00-\x20\"<>\\^`{|}]", text)
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or not is_plain:
        raise Invalid(_("It leads to an address such as https://www.example.org/."), field="redirect_to")
    if host.rstrip(".") == name:
        raise Invalid(_("It would lead to itself."), field="redirect_to")
    if len(text) >= _MOST_ADDRESS:
        raise Invalid(_("The address is too long."), field="redirect_to")
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port is not None else ""
    rest = text[text.index("//") + 2 :].partition("/")[2]
    return f"{parts.scheme}://{place}/{rest}"


def _check_number(tenant: Tenant) -> None:
    most = settings.WADAH.tenant_domains
    former = FormerDomain.objects.filter(tenant_id=tenant.pk, ended_at__gt=timezone.now() - _COUNTS_FOR)
    if Domain.objects.filter(tenant=tenant).count() + former.count() >= most:
        raise Conflict(
            _("A tenant has at most %(most)s domains, those of the last day included.") % {"most": most},
            code="too_many",
        )


def _save_new(row: Domain) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(
            _("%(name)s is there already.") % {"name": row.name}, code="name_taken", field="name"
        ) from error


def _count_up(row: Domain) -> None:
    Domain.objects.filter(pk=row.pk).update(version=F("version") + 1)
    _changed(row)


def _changed(row: Domain) -> None:
    events.publish("domain", row.pk, row.tenant_id)
    write_soon()


def _audited(row: Domain) -> dict[str, Any]:
    """Of people who may look their names alone."""
    return {
        "name": row.name,
        "https": row.https,
        "redirect_to": row.redirect_to,
        "users": sorted(row.users),
        "balance": str(row.balance),
        "health_path": row.health_path,
        "targets": {one.environment.name: one.port for one in row.targets.select_related("environment")},
    }


def _record(actor: Actor, action: str, row: Domain, **more: Any) -> None:
    record(actor, action, tenant_id=row.tenant_id, target=row, **more)
