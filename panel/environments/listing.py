"""The list of environments: what its address says is what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.core.paginator import Page
from django.db.models import F
from django.db.models.expressions import OrderBy
from django.http import QueryDict

from panel.environments.features import FEATURES
from panel.environments.models import Environment, Environments
from panel.environments.search import matching, page_of_found
from panel.environments.selectors import tags_in_use, with_tag
from panel.environments.states import State
from panel.paging import page_of_rows
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant

PER_PAGE = 50
#: As many can be chosen at once, of all that match.
MOST_CHOSEN = 500
_SORTS = {
    "name": "name",
    "image": "image",
    "created": "created_at",
    "cpu": "usage__cpu",
    "memory": "usage__memory_bytes",
    "disk": "usage__disk_bytes",
    "uptime": "started_at",
    "node": "node__name",
}
#: Columns of what may not run or not be measured; what has none comes last.
_MAY_BE_EMPTY = frozenset({"usage__cpu", "usage__memory_bytes", "usage__disk_bytes", "started_at"})
#: That the list may be filtered by, in the order of the choice.
FILTER_STATES = (
    *(State.RUNNING, State.STOPPED, State.PAUSED, State.FAILED, State.PROVISIONING, State.SUSPENDED),
    *(State.DELETING, State.TRASHED),
)


#: What the list lets one do to a row, by the word that its buttons carry.
_ACTS = {
    "power": Permission.ENVIRONMENT_POWER,
    "delete": Permission.ENVIRONMENT_DELETE,
    "console": Permission.ENVIRONMENT_CONSOLE,
    "tag": Permission.ENVIRONMENT_CHANGE,
}


@dataclass(frozen=True)
class Line:
    row: Environment
    may: frozenset[str]
    """What its reader may do to this very environment, of `_ACTS`."""

    @property
    def may_power(self) -> bool:
        return "power" in self.may

    @property
    def may_console(self) -> bool:
        return "console" in self.may

    @property
    def for_many(self) -> str:
        """What may be done to it together with others; empty: it can't be chosen."""
        return " ".join(sorted(self.may - {"console"}))


@dataclass(frozen=True)
class Listing:
    rows: Page[Environment]
    lines: list[Line]
    may: frozenset[str]
    """What may be done to at least one of them."""
    sort: str
    text: str
    state: str
    tag: str
    tags: list[str]
    """That may be filtered by: those in use, and the one that is filtered by now."""
    is_filtered: bool

    @property
    def may_choose(self) -> bool:
        return any(line.for_many for line in self.lines)

    @property
    def all_that_match(self) -> int:
        """How many can be chosen beyond this page; 0: it shows all."""
        count = self.rows.paginator.count
        return min(count, MOST_CHOSEN) if count > len(self.lines) else 0

    @property
    def is_beyond(self) -> bool:
        """More match than can be chosen."""
        return self.rows.paginator.count > MOST_CHOSEN

    @property
    def may_power(self) -> bool:
        return "power" in self.may

    @property
    def may_tag(self) -> bool:
        return "tag" in self.may

    @property
    def may_delete(self) -> bool:
        return "delete" in self.may


def list_environments(actor: Actor, tenant: Tenant | None, query: QueryDict) -> Listing:
    """One page of what the actor sees, filtered by `q`, `state`, `tag`, `node`, by `sort` (`-` turns it)."""
    wanted = _wanted(query)
    rows = (
        _filtered(actor, tenant, query, wanted)
        .select_related("tenant", "node", "usage")
        .prefetch_related(*(one for feature in FEATURES for one in feature.prefetched()), "tags")
        .defer("ssh_keys", "secrets", "root_password_hash")
    )
    text, state, tag = wanted
    node = query.get("node", "")
    sort, order = _order(query)
    number = query.get("page")
    if text:
        is_of_all = tenant is None and actor.is_platform_administrator
        page = page_of_found(rows, text, (order, "pk"), PER_PAGE, number, is_of_all=is_of_all)
    else:
        page = page_of_rows(rows.order_by(order, "pk"), PER_PAGE, number)
    lines = [_line(actor, row) for row in page]
    may = frozenset[str]().union(*(line.may for line in lines))
    tags = sorted({*tags_in_use(actor, tenant), *([tag] if tag else [])})
    return Listing(page, lines, may, sort, text, state, tag, tags, bool(text or state or node or tag))


def ids_of_all(actor: Actor, tenant: Tenant | None, query: QueryDict, most: int) -> list[UUID]:
    """Of all that match, as `list_environments` would show them on its pages; at most `most`."""
    wanted = _wanted(query)
    rows = _filtered(actor, tenant, query, wanted)
    if wanted.text:
        rows = rows.filter(matching(wanted.text))
    return list(rows.order_by(_order(query)[1], "pk").values_list("pk", flat=True)[:most])


class _Wanted(NamedTuple):
    text: str
    state: str
    tag: str


def _wanted(query: QueryDict) -> _Wanted:
    text, tag = query.get("q", "").strip()[:80], query.get("tag", "").strip()[:32]
    return _Wanted(text, query.get("state", ""), tag)


def _filtered(actor: Actor, tenant: Tenant | None, query: QueryDict, wanted: _Wanted) -> Environments:
    """By all but the text, which is searched in its own way."""
    rows: Environments = Environment.objects.for_actor(actor).living()
    if tenant is not None:
        rows = rows.filter(tenant__path__startswith=tenant.path)
    if wanted.state and wanted.state not in FILTER_STATES:  # all would be the opposite of what was asked for
        rows = rows.none()
    elif wanted.state == State.TRASHED:
        rows = rows.trashed()
    elif wanted.state:
        rows = rows.in_use().in_state(State(wanted.state))
    else:
        rows = rows.in_use()
    if wanted.tag:
        rows = rows.filter(with_tag(wanted.tag))
    if node := query.get("node", ""):
        rows = rows.filter(node__name=node[:63])
    return rows


def _order(query: QueryDict) -> tuple[str, OrderBy]:
    """What it is sorted by, as the address has it, and for the database."""
    sort = query.get("sort", "name")
    key = _SORTS.get(sort.removeprefix("-"))
    if key is None:
        sort, key = "name", "name"
    is_down = sort.startswith("-")
    if key in _MAY_BE_EMPTY:
        return sort, F(key).desc(nulls_last=True) if is_down else F(key).asc(nulls_last=True)
    return sort, F(key).desc() if is_down else F(key).asc()  # as the index has it


def _line(actor: Actor, row: Environment) -> Line:
    """No query: the actor's rights are read once, and the tenant came with the row."""
    return Line(row, frozenset(word for word, permission in _ACTS.items() if actor.can(permission, row)))
