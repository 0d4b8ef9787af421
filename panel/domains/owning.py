"""Whose a domain is: DNS is asked, by a name server that the administrator may choose."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from uuid import UUID

import dns.exception
import dns.resolver
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from panel import events
from panel.audit.services import record
from panel.domains.models import Domain, FormerDomain, ProvedBy
from panel.domains.table import write_soon

log = structlog.get_logger()

#: The record lies below the name, so that it goes with no other use of the name.
RECORD = "_wadah"
#: For one question, all servers and attempts.
_WITHIN_S = 5.0
#: How often a name that isn't proved is looked at by itself, and for how long.
_AGAIN_AFTER, _FOR = timedelta(minutes=2), timedelta(days=7)
_MOST_AT_ONCE = 20

PROBLEMS: dict[str, Promise | str] = {
    "no_record": _("DNS has no such record, and the name doesn't lead here."),
    "other_record": _("DNS has a record there, with another value."),
    "txt_needed": _("Somebody else had this name: that it leads here isn't enough, the record is needed."),
    "taken": _("Another tenant has proved that the name is its own."),
    "dns_away": _("DNS doesn't answer for this name."),
}


def record_of(row: Domain) -> tuple[str, str]:
    """Name and value of the TXT record."""
    return f"{RECORD}.{row.name}", f"wadah={row.token}"


@dataclass(frozen=True)
class Seen:
    by: ProvedBy | None
    problem: str = ""


def look(row: Domain) -> Seen:
    """Asks DNS; takes up to fifteen seconds. Changes nothing."""
    resolver = _resolver()
    name, value = record_of(row)
    try:
        texts = _texts(resolver, name)
        if value in texts:
            return Seen(ProvedBy.TXT)
        leads_here = _leads_here(resolver, row.name)
    except dns.exception.DNSException:
        return Seen(None, "dns_away")
    if leads_here and _was_anothers(row):
        return Seen(None, "txt_needed")
    if leads_here:
        return Seen(ProvedBy.ADDRESS)
    return Seen(None, "other_record" if texts else "no_record")


def check(pk: UUID) -> bool:
    """Looks once, and writes down what came of it; whether it is proved now. A no-op for one that is."""
    row = Domain.objects.filter(pk=pk, proved_at=None).select_related("tenant").first()
    if row is None:
        return Domain.objects.filter(pk=pk).exclude(proved_at=None).exists()
    return settle(row, look(row))


def settle(row: Domain, seen: Seen) -> bool:
    """What was seen becomes so. A record takes a name from whoever can't show one any more."""
    if seen.by is not None:
        holder = Domain.objects.filter(name=row.name).exclude(proved_at=None).select_related("tenant").first()
        if holder is not None and (seen.by != ProvedBy.TXT or look(holder).by == ProvedBy.TXT):
            seen, holder = Seen(None, "taken"), None
        elif holder is not None:
            _lose(holder)
    now = timezone.now()
    values = {"looked_at": now, "problem": seen.problem}
    if seen.by is not None:
        values |= {"proved_at": now, "proved_by": seen.by}
    try:
        with transaction.atomic():
            changed = Domain.objects.filter(pk=row.pk, proved_at=None).update(
                **values, version=F("version") + 1
            )
            if changed and seen.by is not None:
                record(None, "domain.prove", tenant_id=row.tenant_id, target=row, after={"by": str(seen.by)})
                write_soon()
            events.publish("domain", row.pk, row.tenant_id)
    except IntegrityError:  # somebody else proved it in this very moment
        Domain.objects.filter(pk=row.pk).update(looked_at=now, problem="taken")
        return False
    return seen.by is not None


def _lose(holder: Domain) -> None:
    with transaction.atomic():
        Domain.objects.filter(pk=holder.pk).update(
            proved_at=None, proved_by="", problem="taken", version=F("version") + 1
        )
        record(None, "domain.lose", tenant_id=holder.tenant_id, target=holder, before={"by": holder.proved_by})
        events.publish("domain", holder.pk, holder.tenant_id)
        write_soon()


def look_again() -> int:
    """Those that wait, the longest first; how many were proved."""
    now = timezone.now()
    waiting = Domain.objects.filter(proved_at=None, created_at__gt=now - _FOR)
    due = waiting.filter(Q(looked_at=None) | Q(looked_at__lt=now - _AGAIN_AFTER))
    found = due.order_by(F("looked_at").asc(nulls_first=True)).values_list("pk", flat=True)[:_MOST_AT_ONCE]
    return sum(check(pk) for pk in list(found))


def _was_anothers(row: Domain) -> bool:
    others = FormerDomain.objects.filter(name=row.name).exclude(tenant_id=row.tenant_id)
    return others.exists() or Domain.objects.filter(name=row.name).exclude(tenant=row.tenant_id).exists()


def _resolver() -> dns.resolver.Resolver:
    said = settings.WADAH.resolver
    if not said:
        resolver = dns.resolver.Resolver()
    else:
        resolver = dns.resolver.Resolver(configure=False)
        host, port = said, ""
        if said.startswith("["):
            host, _bracket, port = said[1:].partition("]")
        elif said.count(":") == 1:
            host, _colon, port = said.partition(":")
        resolver.nameservers, resolver.port = [host], int(port.strip(":") or 53)
    resolver.lifetime = _WITHIN_S
    resolver.timeout = 2.0
    resolver.cache = None
    return resolver


def _texts(resolver: dns.resolver.Resolver, name: str) -> set[str]:
    try:
        found = resolver.resolve(name, "TXT", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return set()
    return {b"".join(one.strings).decode(errors="replace").strip() for one in found}


def _leads_here(resolver: dns.resolver.Resolver, name: str) -> bool:
    """All of its addresses are the front's."""
    own = {ip_address(one.strip()) for one in settings.WADAH.domains_addresses.split(",") if one.strip()}
    if not own:
        return False
    found = set()
    for kind in ("A", "AAAA"):
        try:
            found |= {ip_address(one.address) for one in resolver.resolve(name, kind, search=False)}
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
    return bool(found) and found <= own
