"""What is asked of a jail: as the contract has it, or in the words of jail.conf(5)."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.contract_input import parse
from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from runtime.contract import Allow, JailOptions

#: Of jail(8), what can't be here; each with why.
NOT_HERE: dict[str, Promise | str] = {
    "chflags": gettext_lazy("immutable and append-only flags belong to the host's own root"),
    "quotas": gettext_lazy("the file system has no quotas of users; the jail has one of its own"),
    "settime": gettext_lazy("there is one clock for the whole machine"),
    "adjtime": gettext_lazy("there is one clock for the whole machine"),
    "read_msgbuf": gettext_lazy("the kernel's messages are the machine's"),
    "vmm": gettext_lazy("/dev/kvm is no device that a jail can be given"),
    "extattr": gettext_lazy("system attributes are the host's; user attributes are open anyway"),
    "routing": gettext_lazy("its routes are set from outside"),
    "nfsd": gettext_lazy("the kernel's NFS server is the machine's"),
    "mount.devfs": gettext_lazy("its /dev is laid out from outside"),
    "mount.fdescfs": gettext_lazy("/dev/fd is there anyway"),
    "mount.linprocfs": gettext_lazy("it is called mount.proc here"),
    "mount.procfs": gettext_lazy("it is called mount.proc here"),
    "mount.fusefs": gettext_lazy("it is called mount.fuse here"),
    "mount.nullfs": gettext_lazy("bind mounts come with mount"),
    "mount.zfs": gettext_lazy("there is no ZFS here"),
    "unprivileged_proc_debug": gettext_lazy("it is called proc_debug here"),
}


def lay_jail(actor: Actor, tenant: Tenant, old: Any, given: Mapping[str, Any]) -> Any:
    """What is given laid over what is. `allow` is a list of words, which is the whole then, or each word with
    whether; `allow.WORD` is one of them. A base is chosen once. A new jail, a copy too, is of the build that it
    is made of: a build's name means something on its own node alone."""
    known = old or JailOptions().model_dump(mode="json")
    given = dict(given)
    build = given.pop("build", known.get("build", ""))
    words = {**known, **{name: value for name, value in given.items() if not name.startswith("allow")}}
    if "children.max" in words:
        words["children_max"] = words.pop("children.max")
    words["command"] = words["command"] or None
    words["allow"] = _allowed(known["allow"], given)
    laid = parse(JailOptions, words, "jail")
    if old and build != laid.build:
        raise Invalid(
            _("A jail comes to another build of its base by an update of the base."),
            field="jail.build",
            next_step=_("Begin one on the page of jails, or by POST /api/v1/jails/base-updates."),
        )
    if old and laid.base != known["base"]:
        raise Invalid(
            _("A jail's base is chosen when it is made."),
            field="jail.base",
            next_step=_("Make another jail, and take its files along."),
        )
    if laid.children_max > known["children_max"]:
        actor.require(Permission.SECURITY_MANAGE, tenant)
    return laid.model_dump(mode="json")


def _allowed(known: list[str], given: Mapping[str, Any]) -> list[str]:
    found, asked = set(known), given.get("allow")
    if isinstance(asked, list):
        found = set()
        switches: dict[Any, Any] = dict.fromkeys((str(one) for one in asked), True)
    elif asked is None or isinstance(asked, Mapping):
        switches = dict(asked or {})
    else:
        raise Invalid(_("jail.allow is a list of words."), field="jail.allow")
    switches |= {name.removeprefix("allow."): value for name, value in given.items() if name[:6] == "allow."}
    for word, is_on in switches.items():
        _check(word, is_on)
        (found.add if is_on else found.discard)(word)
    return [word.value for word in Allow if word.value in found]


def _check(word: str, is_on: Any) -> None:
    if not isinstance(is_on, bool):
        raise Invalid(
            _("%(field)s is true or false.") % {"field": f"jail.allow.{word[:40]}"}, field="jail.allow"
        )
    if word in set(Allow):
        return
    if word in NOT_HERE:
        raise Invalid(
            _("%(word)s can't be allowed here: %(why)s.") % {"word": word, "why": NOT_HERE[word]},
            field="jail.allow",
            code="not_here",
            next_step=_("Leave it out."),
        )
    raise Invalid(
        _("%(word)s is no word that a jail can be allowed; known are %(known)s.")
        % {"word": word[:40], "known": ", ".join(Allow)},
        field="jail.allow",
    )
