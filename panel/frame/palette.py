"""What the command palette finds: each kind of thing by its own finder, cut down to what its reader may see."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.environments.models import Environment
from panel.environments.search import is_address
from panel.folding import finds
from panel.frame.shell import Shell
from panel.images.models import Image
from panel.networks.models import Address, PortForward
from panel.nodes.models import Node
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Membership, Tenant

Item = dict[str, Any]
_MOST_ENVIRONMENTS, _MOST_EACH, _MOST = 10, 5, 30
#: The newest operations, among which those are looked for that a text names.
_OPERATIONS_LOOKED_AT = 300
_PORT = re.compile(r"[0-9]{2,5}")


@dataclass(frozen=True)
class Verb:
    word: Promise | str
    icon: str
    permission: Permission
    post: str = ""
    """The action that is sent; empty: a page is opened."""


_POWER = Permission.ENVIRONMENT_POWER
_VERBS = {
    "start": Verb(gettext_lazy("Start"), "player-play", _POWER, "start"),
    "stop": Verb(gettext_lazy("Stop"), "player-stop", _POWER, "stop"),
    "restart": Verb(gettext_lazy("Restart"), "refresh", _POWER, "restart"),
    "console": Verb(gettext_lazy("Console"), "terminal-2", Permission.ENVIRONMENT_CONSOLE),
}


def found(shell: Shell, text: str) -> list[Item]:
    """`{"label", "hint", "url", "icon", "post"?}` of what this text may mean, the likeliest first."""
    items = list(_environments(shell.actor, text))
    if text:
        for find in _FINDERS:
            items += find(shell.actor, text)
    return [*items[: _MOST - 1], *_pages(shell, text)][:_MOST]


def _item(label: str, hint: str, sign: str, page: str, *args: object, **more: Any) -> Item:
    return {"label": label, "hint": hint, "url": reverse(page, args=args), "icon": sign, **more}


def _environments(actor: Actor, text: str) -> Iterator[Item]:
    """Those whose name holds the last word; a word before it that is an action comes first: "stop web"."""
    first, _space, last = text.partition(" ")
    verb = _verb_of(first) if last.strip() else None
    name = last.strip() if verb is not None else text
    rows = Environment.objects.for_actor(actor).in_use().select_related("tenant")
    if name:
        rows = rows.filter(finds(name, "name") | _by_id(name))
    for row in rows.order_by("-changed_at")[:_MOST_ENVIRONMENTS]:
        if verb is not None and actor.can(verb.permission, row):
            yield _action(row, verb)
        yield _item(row.name, f"{row.state.label} · {row.tenant.name}", "server-2", "environment", row.pk)


def _verb_of(word: str) -> Verb | None:
    """By its English word or the reader's own."""
    wanted = word.casefold()
    return next((verb for name, verb in _VERBS.items() if wanted in (name, str(verb.word).casefold())), None)


def _action(row: Environment, verb: Verb) -> Item:
    label = f"{verb.word} {row.name}"
    if not verb.post:
        return _item(label, row.tenant.name, verb.icon, "environment-console", row.pk)
    return _item(label, row.tenant.name, verb.icon, "environment-power", row.pk, post={"action": verb.post})


def _by_id(text: str) -> Q:
    """One that is named by its id, as the API and the logs have it."""
    try:
        return Q(pk=UUID(text))
    except ValueError:
        return Q(pk__in=())


def _addresses(actor: Actor, text: str) -> Iterator[Item]:
    if not is_address(text):
        return
    rows = (
        Address.objects.for_actor(actor)
        .held()
        .filter(address__startswith=text.lower(), environment__trashed_at=None)
    )
    for row in rows.select_related("environment__tenant")[:_MOST_EACH]:
        if row.environment is not None:
            hint = f"{_('address')} · {row.environment.tenant.name}"
            label = f"{row.address} · {row.environment.name}"
            yield _item(label, hint, "network", "environment-network", row.environment.pk)


def _forwards(actor: Actor, text: str) -> Iterator[Item]:
    """By the port of either side, or by what it is for."""
    wanted = Q(node_port=text) | Q(port=text) if _PORT.fullmatch(text) else finds(text, "description")
    rows = PortForward.objects.for_actor(actor).filter(wanted, environment__trashed_at=None)
    for row in rows.select_related("environment__tenant")[:_MOST_EACH]:
        label = f"{row.environment.name} · {row}"
        hint = f"{row.description or _('port forward')} · {row.environment.tenant.name}"
        yield _item(label, hint, "network", "environment-network", row.environment_id)


def _tenants(actor: Actor, text: str) -> Iterator[Item]:
    for row in Tenant.objects.for_actor(actor).filter(finds(text, "name", "slug"))[:_MOST_EACH]:
        yield _item(row.name, _("tenant"), "building", "tenant", row.pk)


def _people(actor: Actor, text: str) -> Iterator[Item]:
    rows = Membership.objects.for_actor(actor).filter(finds(text, "user__username", "user__email"))
    for row in rows.select_related("user", "tenant", "custom_role").order_by("user__username")[:_MOST_EACH]:
        role = row.custom_role.name if row.custom_role else row.get_role_display()
        yield _item(str(row.user), f"{role} · {row.tenant.name}", "user", "people", row.tenant_id)


def _images(_actor: Actor, text: str) -> Iterator[Item]:
    """They are everybody's."""
    for row in Image.objects.filter(finds(text, "name", "title"))[:_MOST_EACH]:
        yield _item(str(row), _("image"), "package", "images")


def _nodes(actor: Actor, text: str) -> Iterator[Item]:
    if actor.can(Permission.NODE_VIEW):
        for row in Node.objects.filter(finds(text, "name", "public_address"))[:_MOST_EACH]:
            yield _item(row.name, _("node"), "stack-2", "node", row.pk)


def _operations(actor: Actor, text: str) -> Iterator[Item]:
    """Among the newest, by all of its words: "stop web", "failed web"; or by its id."""
    rows = Operation.objects.for_actor(actor).defer("steps", "before", "details")
    wanted = text.casefold().split()
    newest = rows.order_by("-created_at")[:_OPERATIONS_LOOKED_AT]
    seen = 0
    for row in {row.pk: row for row in [*rows.filter(_by_id(text)), *newest]}.values():
        said = f"{row.get_kind_display()} {row.subject_name}"
        state = str(row.shown_state.label)
        known = f"{row.pk} {row.kind} {said} {row.state} {state}".casefold()
        if all(word in known for word in wanted):
            yield _item(said, f"{_('operation')} · {state}", "activity", "operation", row.pk)
            seen += 1
        if seen == _MOST_EACH:
            return


#: After the environments, in this order.
_FINDERS: tuple[Callable[[Actor, str], Iterator[Item]], ...] = (
    _addresses, _forwards, _tenants, _people, _nodes, _images, _operations,
)  # fmt: skip


def _pages(shell: Shell, text: str) -> list[Item]:
    """As far as the menu has them."""
    pages = [
        (_("Create an environment"), "environment-create", "plus", shell.may_create),
        (_("Environments"), "environments", "server-2", True),
        (_("Operations"), "operations", "activity", True),
        (_("Images"), "images", "package", True),
        (_("Registries"), "registries", "building-warehouse", True),
        (_("Repositories"), "repositories", "building-warehouse", True),
        (_("Backups"), "backups", "archive", True),
        (_("Volumes"), "volumes", "database", True),
        (_("Domains"), "domains", "world", True),
        (_("Stages"), "stages", "stairs-up", True),
        (_("Builds"), "builds", "hammer", True),
        (_("Addresses"), "addresses", "network", True),
        (_("Tenants and quotas"), "tenants", "building", True),
        (_("API tokens"), "tokens", "key", True),
        (_("API reference"), "api-reference", "file-description", True),
        (_("Profile"), "profile", "user", True),
        (_("Audit"), "audit", "shield-lock", shell.reads_audit),
        (_("Nodes"), "nodes", "stack-2", shell.is_administrator),
        (_("Capacity"), "capacity", "adjustments", shell.is_administrator),
        (_("Plans"), "plans", "gauge", shell.is_administrator),
        (_("Sign-in"), "sign-in", "fingerprint", shell.is_administrator),
        (_("Support accesses"), "supports", "lifebuoy", shell.is_administrator),
    ]
    return [
        _item(label, _("page"), sign, name)
        for label, name, sign, may in pages
        if may and text.casefold() in label.casefold()
    ]
