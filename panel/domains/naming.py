"""Which names can be a tenant's, as DNS and browsers understand them."""

import ipaddress
import re
from urllib.parse import urlsplit

import idna
from django.conf import settings
from django.utils.translation import gettext as _

from panel.errors import Conflict, Invalid
from panel.nodes.models import Node
from panel.tenants.models import Tenant

#: Names of special use (RFC 6761, 6762, 7686, 8375, 9476): nobody can own one.
_SPECIAL = ("localhost", "local", "internal", "invalid", "onion", "arpa", "alt", "localdomain", "lan", "home")
_LABEL = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")
_MOST_LETTERS = 253


def checked_name(text: str, tenant: Tenant) -> str:
    """In small letters, by IDNA 2008, without the root's dot. Raises `Invalid`, and `Conflict` for a name that
    is the installation's own."""
    name = _encoded(text.strip().removesuffix("."))
    labels = name.split(".")
    if len(name) > _MOST_LETTERS or not all(_LABEL.match(one) for one in labels):
        raise _no_name(text)
    if len(labels) < 2 or labels[-1].isdigit() or labels[-1].startswith("0x"):
        raise _no_name(text)
    if labels[-1] in _SPECIAL:
        raise Invalid(
            _("Names below %(top)s are nobody's: DNS doesn't have them.") % {"top": labels[-1]}, field="name"
        )
    if any(name == own or name.endswith(f".{own}") for own in _own_names()):
        raise Conflict(
            _("%(name)s is a name of this installation.") % {"name": name}, code="own_name", field="name"
        )
    if is_below_wildcard(name):
        _check_below(name, tenant)
    elif name == settings.WADAH.domains_wildcard:
        raise Conflict(
            _("%(name)s is a name of this installation.") % {"name": name}, code="own_name", field="name"
        )
    return name


def shown_name(name: str) -> str:
    """As people write it."""
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


def default_name(environment: str, tenant: Tenant) -> str:
    """Below the administrator's name: `NAME-TENANT.apps.example.org`. Raises `Invalid` where there is none."""
    if not settings.WADAH.domains_wildcard:
        raise Invalid(
            _("This installation has no names to give: say which one you want."),
            field="name",
            next_step=_("Its administrator sets one by WADAH_DOMAINS_WILDCARD."),
        )
    own = f"-{tenant.slug}"
    return f"{environment[: 63 - len(own)].rstrip('-')}{own}.{settings.WADAH.domains_wildcard}"


def is_below_wildcard(name: str) -> bool:
    return bool(settings.WADAH.domains_wildcard) and name.endswith(f".{settings.WADAH.domains_wildcard}")


def _check_below(name: str, tenant: Tenant) -> None:
    """One label, that ends with its tenant's own name: nobody takes another's, or one that looks official."""
    label = name.removesuffix(f".{settings.WADAH.domains_wildcard}")
    slugs = {label[at + 1 :] for at, letter in enumerate(label) if letter == "-"} | {label}
    longest = max(Tenant.objects.filter(slug__in=slugs).values_list("slug", flat=True), key=len, default="")
    if "." in label or longest != tenant.slug or label == "":
        raise Invalid(
            _("Your names below %(wildcard)s end with -%(slug)s: %(example)s")
            % {
                "wildcard": settings.WADAH.domains_wildcard,
                "slug": tenant.slug,
                "example": f"web-{tenant.slug}.{settings.WADAH.domains_wildcard}",
            },
            field="name",
        )


def _own_names() -> set[str]:
    """Of the panel, and by which people reach the nodes. A site below one could set cookies for it."""
    hosts = {*settings.WADAH.hosts, urlsplit(settings.WADAH.url).hostname or ""}
    hosts |= set(Node.objects.exclude(public_address="").values_list("public_address", flat=True))
    return {one.lower().strip("[].") for one in hosts if one and not _is_address(one.strip("[]"))}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _encoded(text: str) -> str:
    if _is_address(text.strip("[]")):
        raise Invalid(_("A domain is a name, no address."), field="name")
    if text.startswith("*"):
        raise Invalid(
            _("A domain is one name: certificates for all names below another aren't made here."), field="name"
        )
    try:
        return idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise _no_name(text) from error


def _no_name(text: str) -> Invalid:
    return Invalid(
        _("“%(text)s” is no domain such as shop.example.org: two labels or more of letters, digits and dashes.")
        % {"text": text[:80]},
        field="name",
    )
