"""Whose a domain is: DNS is asked, by a name server that the administrator may choose."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
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
#: For all that is asked about one name, all servers and attempts: they may be a tenant's own.
_WITHIN_S = 5.0
#: How often a name that isn't proved is looked at by itself, and for how long.
_AGAIN_AFTER, _FOR = timedelta(minutes=2), timedelta(days=7)
_MOST_AT_ONCE = 20
#: Names that wait, of which those are chosen.
_MOST_WAITING = 5000

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
class Asked:
    """What DNS says of a name."""

    texts: frozenset[str] = frozenset()
    leads_here: bool = False
    is_away: bool = False


@dataclass(frozen=True)
class Seen:
    by: ProvedBy | None
    problem: str = ""


def ask(row: Domain) -> Asked:
    """Takes `_WITHIN_S` at most, and looks at no other row."""
    until = time.monotonic() + _WITHIN_S
    name, value = record_of(row)
    try:
        texts = _texts(_Resolver(until), name)
        leads_here = value not in texts and _leads_here(_Resolver(until), row.name)
    except dns.exception.DNSException:
        return Asked(is_away=True)
    return Asked(frozenset(texts), leads_here)


def meaning(row: Domain, asked: Asked) -> Seen:
    if asked.is_away:
        return Seen(None, "dns_away")
    if record_of(row)[1] in asked.texts:
        return Seen(ProvedBy.TXT)
    if asked.leads_here and _was_anothers(row):
        return Seen(None, "txt_needed")
    if asked.leads_here:
        return Seen(ProvedBy.ADDRESS)
    return Seen(None, "other_record" if asked.texts else "no_record")


def check(pk: UUID) -> bool:
    """Looks once, and writes down what came of it; whether it is proved now. A no-op for one that is."""
    row = Domain.objects.filter(pk=pk, proved_at=None).select_related("tenant").first()
    if row is None:
        return Domain.objects.filter(pk=pk).exclude(proved_at=None).exists()
    return settle(row, ask(row))


def settle(row: Domain, asked: Asked) -> bool:
    """What was seen becomes so. A record takes a name from whoever has none there any more."""
    seen = meaning(row, asked)
    if seen.by is not None:
        holder = Domain.objects.filter(name=row.name).exclude(proved_at=None).select_related("tenant").first()
        if holder is not None and (seen.by != ProvedBy.TXT or record_of(holder)[1] in asked.texts):
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
    """Those that wait, the longest first, and of each tenant one before another's second; how many were proved.
    All are asked for at once: name servers that say nothing hold up no other's name."""
    now = timezone.now()
    waiting = Domain.objects.filter(proved_at=None).filter(Q(looked_at=None) | Q(created_at__gt=now - _FOR))
    due = waiting.filter(Q(looked_at=None) | Q(looked_at__lt=now - _AGAIN_AFTER))
    found = due.order_by(F("looked_at").asc(nulls_first=True), "created_at")[:_MOST_WAITING]
    of_tenant, turns = Counter[UUID](), list[tuple[int, int, UUID]]()
    for place, (pk, tenant) in enumerate(found.values_list("pk", "tenant_id")):
        turns.append((of_tenant[tenant], place, pk))
        of_tenant[tenant] += 1
    chosen = [pk for _turn, _place, pk in sorted(turns)[:_MOST_AT_ONCE]]
    rows = list(Domain.objects.filter(pk__in=chosen, proved_at=None).select_related("tenant"))
    if not rows:
        return 0
    with ThreadPoolExecutor(len(rows), thread_name_prefix="dns") as threads:
        return sum(settle(row, asked) for row, asked in zip(rows, threads.map(ask, rows), strict=True))


def _was_anothers(row: Domain) -> bool:
    others = FormerDomain.objects.filter(name=row.name).exclude(tenant_id=row.tenant_id)
    return others.exists() or Domain.objects.filter(name=row.name).exclude(tenant=row.tenant_id).exists()


class _Resolver(dns.resolver.Resolver):
    """The administrator's, else the machine's; all that it is asked has an end."""

    def __init__(self, until: float):
        said = settings.WADAH.resolver
        super().__init__(configure=not said)
        if said:
            host, port = said, ""
            if said.startswith("["):
                host, _bracket, port = said[1:].partition("]")
            elif said.count(":") == 1:
                host, _colon, port = said.partition(":")
            self.nameservers, self.port = [host], int(port.strip(":") or 53)
        self._until = until
        self.timeout = 2.0
        self.cache = None

    def records(self, name: str, kind: str) -> dns.resolver.Answer:
        left = max(0.01, self._until - time.monotonic())
        return self.resolve(name, kind, search=False, lifetime=left)


def _texts(resolver: _Resolver, name: str) -> set[str]:
    try:
        found = resolver.records(name, "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return set()
    return {b"".join(one.strings).decode(errors="replace").strip() for one in found}


def _leads_here(resolver: _Resolver, name: str) -> bool:
    """All of its addresses are the front's."""
    own = {ip_address(one.strip()) for one in settings.WADAH.domains_addresses.split(",") if one.strip()}
    if not own:
        return False
    found = set()
    for kind in ("A", "AAAA"):
        try:
            found |= {ip_address(one.address) for one in resolver.records(name, kind)}
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
    return bool(found) and found <= own
