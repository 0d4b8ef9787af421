"""What jail.conf(5) asks for, in this panel's options: each parameter is honoured, is so anyway, or is left
out by name and line, with why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.environments.jail_options import NOT_HERE
from panel.jails.conf import BadConf, Jail, Parameter, read
from panel.text import shell_words
from runtime.contract import ENFORCE_STATFS, SECURE_LEVEL, Allow
from runtime.contract.base import NAME
from runtime.contract.jail import MOST_CHILDREN, NEW_MOUNTS


@dataclass(frozen=True)
class Remark:
    line: int
    parameter: str
    text: str


@dataclass
class Wanted:
    """One jail as it would be asked for."""

    line: int
    name: str
    jail: dict[str, Any] = field(default_factory=dict)
    """Laid over a new jail's options."""
    asked: dict[str, Any] = field(default_factory=dict)
    """Beside it: addresses, stop timeout."""
    limits: dict[str, Any] = field(default_factory=dict)
    """Laid over those that are asked for of each."""
    rules: list[str] = field(default_factory=list)
    """Of limits."""
    depends: list[str] = field(default_factory=list)
    order: int = 0
    """Of its boot, so that who depends on it starts later."""
    notes: list[Remark] = field(default_factory=list)
    """What comes about in another way."""
    left_out: list[Remark] = field(default_factory=list)
    """What can't be honoured."""

    @property
    def values(self) -> dict[str, Any]:
        """For `create_environment`."""
        found = {"name": self.name, **self.asked, "jail": self.jail}
        if self.rules:
            found["limit_rules"] = self.rules
        if self.order:
            found["boot"] = {"order": self.order}
        return found


#: What a jail has anyway, whatever the file says.
_SO_ANYWAY: dict[str, Promise] = {
    "persist": gettext_lazy("it is kept until it is deleted"),
    "vnet": gettext_lazy("each has a network stack of its own"),
    "exec.clean": gettext_lazy("nothing of the host's variables is seen inside"),
    "exec.consolelog": gettext_lazy("its console is kept, and shown on its page"),
    "mount.devfs": gettext_lazy("its /dev has what every jail has"),
    "mount.fdescfs": gettext_lazy("/dev/fd is there"),
    "mount.procfs": gettext_lazy("/proc is there, of its own processes"),
    "path": gettext_lazy("its tree is made of the image; files are brought with a backup or an archive"),
    "interface": gettext_lazy("its link is made with it"),
    "vnet.interface": gettext_lazy("its link is made with it"),
    "jid": gettext_lazy("its number is given by the panel"),
    "dying": gettext_lazy("the old one is gone before another has its name"),
}
_HOOK = gettext_lazy("nothing of a tenant's runs on the host")
#: What can't be had, each with why.
_NOT_HERE: dict[str, Promise] = {
    **dict.fromkeys(
        (
            "exec.prepare",
            "exec.prestart",
            "exec.created",
            "exec.poststart",
            "exec.prestop",
            "exec.poststop",
            "exec.release",
            "command",
        ),
        _HOOK,
    ),
    "mount": gettext_lazy("directories of the host aren't shown inside; attach a volume"),
    "mount.fstab": gettext_lazy("directories of the host aren't shown inside; attach a volume"),
    "exec.system_user": gettext_lazy("users of the host aren't seen inside"),
    "exec.system_jail_user": gettext_lazy("users of the host aren't seen inside"),
    "exec.jail_user": gettext_lazy("its first process is root's; let the program change its user"),
    "exec.fib": gettext_lazy("there is one table of routes for each jail"),
    "host.hostuuid": gettext_lazy("its ids are made with it, and are nobody else's"),
    "host.hostid": gettext_lazy("its ids are made with it, and are nobody else's"),
    "host.domainname": gettext_lazy("there is no NIS domain"),
    "osrelease": gettext_lazy("the kernel says what it is"),
    "osreldate": gettext_lazy("the kernel says what it is"),
    "cpuset.id": gettext_lazy("processors aren't handed out by number of a set"),
    "zfs.dataset": gettext_lazy("there is no ZFS here"),
    "linux": gettext_lazy("it is a Linux already"),
    "ip_hostname": gettext_lazy("addresses are given from the node's own networks"),
    "sysvmsg": gettext_lazy("System V objects of the host aren't shared"),
    "sysvsem": gettext_lazy("System V objects of the host aren't shared"),
    "sysvshm": gettext_lazy("System V objects of the host aren't shared"),
}
_SYSV = ("sysvmsg", "sysvsem", "sysvshm")
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
#: What Linux calls otherwise.
_LINUX = {
    "mount.procfs": "mount.proc",
    "mount.linprocfs": "mount.proc",
    "mount.fusefs": "mount.fuse",
    "unprivileged_proc_debug": "proc_debug",
}
_INITS = ("/bin/sh /etc/rc", "sh /etc/rc", "/sbin/init")
_STOPS = ("/bin/sh /etc/rc.shutdown jail", "/bin/sh /etc/rc.shutdown", "sh /etc/rc.shutdown", "")
_HIGHEST_ORDER = 1000


def understood(text: str) -> list[Wanted]:
    """Of each jail of the file. Raises `BadConf`."""
    found = [_of(jail) for jail in read(text)]
    if not found:
        raise BadConf(1, _("It names no jail: NAME { … }."))
    _in_order(found)
    return found


def _of(jail: Jail) -> Wanted:
    if "." in jail.name:
        raise BadConf(
            jail.line,
            _("%(name)s would be a jail within another one: say children.max of that, and make it inside.")
            % {"name": jail.name[:60]},
        )
    if not NAME.fullmatch(jail.name):
        raise BadConf(
            jail.line,
            _("%(name)s is no name here: 1 to 63 lower-case letters, digits and hyphens.")
            % {"name": jail.name[:60]},
        )
    found = Wanted(jail.line, jail.name)
    allowed: dict[str, bool] = {}
    for one in jail.parameters:
        name, values = _without_no(one)
        if name in _SYSV and (not values or values[-1] == "new"):
            allowed["sysvipc"] = True
        elif name in _SYSV and values[-1] == "disable":
            pass
        elif name.startswith("allow."):
            _allow(found, one, name.removeprefix("allow."), values, allowed)
        elif verb := _HONOURED.get(name):
            verb(found, one, values)
        elif name in _SO_ANYWAY:
            found.notes.append(Remark(one.line, one.name, str(_SO_ANYWAY[name])))
        else:
            _leave_out(found, one, _NOT_HERE.get(name) or _of_a_group(name))
    if not allowed.get(Allow.MOUNT):
        for one in jail.parameters:
            word = _LINUX.get(one.name.removeprefix("allow."), one.name.removeprefix("allow."))
            if word in NEW_MOUNTS and allowed.pop(word, False):
                _leave_out(found, one, _("it opens nothing without allow.mount"))
    found.jail["allow"] = [word.value for word in Allow if allowed.get(word.value)]
    return found


def _of_a_group(name: str) -> Promise | str:
    if name.startswith("linux."):
        return _NOT_HERE["linux"]
    return gettext_lazy("no such parameter is known here")


def _without_no(one: Parameter) -> tuple[str, tuple[str, ...]]:
    """`allow.nomount;` is `allow.mount = false;`"""
    head, dot, last = one.name.rpartition(".")
    plain = f"{head}{dot}{last[2:]}" if last.startswith("no") else ""
    if not one.values and plain and (head == "allow" or plain in _SO_ANYWAY or plain in _HONOURED):
        return plain, ("false",)
    return one.name, one.values


def _is_on(values: Sequence[str]) -> bool | None:
    """None: it can't be told."""
    if not values or values[-1].lower() in _YES:
        return True
    return False if values[-1].lower() in _NO else None


def _leave_out(found: Wanted, one: Parameter, why: Promise | str) -> None:
    found.left_out.append(Remark(one.line, one.name, str(why)))


def _allow(found: Wanted, one: Parameter, word: str, values: tuple[str, ...], allowed: dict[str, bool]) -> None:
    is_on = _is_on(values)
    word = _LINUX.get(word, word)
    if is_on is None:
        _leave_out(found, one, _("it is true or false"))
    elif word in set(Allow):
        allowed[word] = is_on
    elif word in NOT_HERE and is_on:
        _leave_out(found, one, NOT_HERE[word])
    elif word not in NOT_HERE:
        _leave_out(found, one, _("no jail here can be allowed that"))


def _host_name(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    if values and values[-1].partition(".")[0].lower() != found.name:
        found.notes.append(
            Remark(one.line, one.name, _("its host name is its name, %(name)s") % {"name": found.name})
        )


def _addresses(family: str) -> Callable[[Wanted, Parameter, tuple[str, ...]], None]:
    def count(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
        if any(value in ("inherit", "disable") for value in values):
            found.asked[family] = 0
            return
        found.asked[family] = min(16, len(values))
        text = _("it gets as many of the node's own addresses (%(count)s)") % {"count": found.asked[family]}
        found.notes.append(Remark(one.line, one.name, text))

    return count


def _address_mode(family: str) -> Callable[[Wanted, Parameter, tuple[str, ...]], None]:
    def take(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
        mode = values[-1] if values else "new"
        if mode == "disable":
            found.asked[family] = 0
        elif mode == "inherit":
            _leave_out(found, one, _("the host's addresses aren't shared: it has a network stack of its own"))
        elif mode != "new":
            _leave_out(found, one, _("it is one of new, inherit, disable"))

    return take


def _host(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    if values and values[-1] == "inherit":
        _leave_out(found, one, _("the host's names aren't shown inside"))


def _start(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    commands = [one for one in values if one.strip()]
    if not commands or [" ".join(one.split()) for one in commands] in ([init] for init in _INITS):
        return
    joined = commands[0] if len(commands) == 1 else ""
    try:
        words = shell_words(joined)
    except ValueError:
        words = []
    plain = words and not set(joined) & set("|&;<>()$`*?~")
    found.jail["command"] = words if plain else ["/bin/sh", "-c", "\n".join(["set -e", *commands])]
    text = _("it is the jail's first process, below a small init: when it ends, the jail does")
    found.notes.append(Remark(one.line, one.name, text))


def _stop(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    if [" ".join(each.split()) for each in values] not in ([], *([known] for known in _STOPS)):
        _leave_out(found, one, _("a stop asks its first process; let that do what is to be done"))


def _stop_timeout(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    number = _number(values)
    if number is None or not 0 <= number <= 600:
        _leave_out(found, one, _("it is 0 to 600 seconds"))
    else:
        found.asked["stop_timeout_s"] = number


def _children(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    number = _number(values)
    if number is None or not 0 <= number <= MOST_CHILDREN:
        _leave_out(found, one, _("it is 0 to %(most)s") % {"most": MOST_CHILDREN})
    else:
        found.jail["children_max"] = number


def _fixed(level: int) -> Callable[[Wanted, Parameter, tuple[str, ...]], None]:
    def say(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
        if _number(values) != level:
            found.notes.append(Remark(one.line, one.name, _("it is %(level)s and stays so") % {"level": level}))

    return say


def _ruleset(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    if _number(values) not in (0, 4):  # 4: devfsrules_jail, what a jail is meant to have
        _leave_out(found, one, _("there are no rules by number; devices are given one by one"))


def _depend(found: Wanted, one: Parameter, values: tuple[str, ...]) -> None:
    found.depends += [word for value in values for word in value.split()]


def _number(values: Sequence[str]) -> int | None:
    try:
        return int(values[-1])
    except (IndexError, ValueError):
        return None


_HONOURED: dict[str, Callable[[Wanted, Parameter, tuple[str, ...]], None]] = {
    "host.hostname": _host_name,
    "host": _host,
    "ip4.addr": _addresses("ipv4"),
    "ip6.addr": _addresses("ipv6"),
    "ip4": _address_mode("ipv4"),
    "ip6": _address_mode("ipv6"),
    "exec.start": _start,
    "exec.stop": _stop,
    "stop.timeout": _stop_timeout,
    "children.max": _children,
    "enforce_statfs": _fixed(ENFORCE_STATFS),
    "securelevel": _fixed(SECURE_LEVEL),
    "devfs_ruleset": _ruleset,
    "depend": _depend,
}


def _in_order(jails: Sequence[Wanted]) -> None:
    """Who others depend on boots before them. Raises `BadConf` for a circle, and one that isn't there."""
    by_name = {one.name: one for one in jails}
    later: dict[str, int] = {}

    def after(one: Wanted, way: tuple[str, ...]) -> int:
        """How many stand behind it, one after the other."""
        if one.name in way:
            raise BadConf(one.line, _("%(name)s depends on itself.") % {"name": one.name})
        if one.name not in later:
            waiting = [other for other in jails if one.name in other.depends]
            later[one.name] = max((after(other, (*way, one.name)) + 1 for other in waiting), default=0)
        return later[one.name]

    for one in jails:
        for name in one.depends:
            if name not in by_name:
                raise BadConf(
                    one.line,
                    _("%(name)s depends on %(other)s, which the file doesn't have.")
                    % {"name": one.name, "other": name[:60]},
                )
    for one in jails:
        one.order = min(_HIGHEST_ORDER, after(one, ()))
