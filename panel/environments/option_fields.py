"""How options are asked for: fields of the create page and of the settings, by their place in the document.

`panel.environments.options` says which option has which.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from panel.rights.permissions import Permission
from panel.text import LONGEST_COMMAND, lines_of, shell_words, words_of
from panel.ui.number_field import NumberField
from runtime.contract import Allow, Kind, wants_of
from runtime.contract.jail import MOST_CHILDREN


@dataclass(frozen=True)
class Group:
    """Fields that stand together, in the order of the table: one panel of the settings, and its form."""

    name: str
    """Of its address below `settings/`."""
    title: Promise | str
    done: Promise | str
    note: Promise | str = ""
    is_folded: bool = True
    """On the create page, below *Advanced*."""
    needs: Permission | None = None
    """Beside that of the options: who hasn't got it isn't asked."""


RUN = Group("run", _("How it runs"), "", _("What is left empty, the image says."), is_folded=False)
TREE = Group("tree", _("What it is for"), "", is_folded=False)
SERVICE = Group("jail", _("Jail"), _("Jail saved"), _("At its next start."), is_folded=False)
WALLS = Group(
    "walls",
    _("What its root may do"),
    _("Walls saved"),
    _("All off at first; at its next start. It sees its own mounts alone, and changes nothing of the kernel."),
)
RESTART = Group("restart", _("Restart policy"), _("Restart policy saved"))
CONFINEMENT = Group(
    "confinement",
    _("Confinement"),
    _("Confinement saved"),
    _("At its next start. What each opens is the provider's decision."),
    needs=Permission.SECURITY_MANAGE,
)
PROCESSOR_POOL = Group(
    "processors",
    _("Processors"),
    _("Processors saved"),
    _("At once, while it runs. Which are kept for it is the provider's decision."),
    needs=Permission.SECURITY_MANAGE,
)
LIMIT_RULES = Group(
    "limit-rules",
    _("Rules of limits"),
    _("Rules saved"),
    _("At once. What is denied or slowed down, the limits say; a rule tells of it, or signals who has most."),
)
OWN_KERNEL = Group(
    "own-kernel",
    _("Boot options"),
    _("Boot options saved"),
    _("At its next start. A kernel of its own hears them, and no other."),
)
OPTIONS = Group("options", _("Options"), _("Options saved"))


class When(Enum):
    """On which page an option is asked for."""

    ALWAYS = "on the create page and in the settings"
    NEW = "on the create page alone"
    LATER = "in the settings alone"


@dataclass(frozen=True)
class Asked:
    """One field."""

    make: Callable[[], forms.Field]
    group: Group = OPTIONS
    kinds: frozenset[Kind] = frozenset(Kind)
    when: When = When.ALWAYS


Fields = Mapping[str, Asked]
"""By their place in the document: `boot.order`."""


class _Typed(forms.CharField):
    """Read by programs rather than people. `reads`: how the create page's script makes JSON of it."""

    is_mono = True
    reads = ""

    def __init__(self, **more: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 4}) if self.reads == "pairs" else forms.TextInput()
        super().__init__(required=False, widget=widget, **more)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        quiet = {"spellcheck": "false", "autocapitalize": "none"}
        return {**super().widget_attrs(widget), **quiet}


class WordsField(_Typed):
    """As a shell reads words."""

    reads = "words"

    def prepare_value(self, value: Any) -> Any:
        return shlex.join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value)
        if len(text) > LONGEST_COMMAND:
            raise forms.ValidationError(_("At most %(n)s characters.") % {"n": LONGEST_COMMAND})
        try:
            return shell_words(text)
        except ValueError as odd:
            raise forms.ValidationError(_("A quotation mark isn't closed.")) from odd


class PairsField(_Typed):
    """Lines of NAME=value."""

    reads = "pairs"

    def clean(self, value: Any) -> dict[str, str]:
        lines = lines_of(super().clean(value))
        if any("=" not in line for line in lines):
            raise forms.ValidationError(_("Each line is NAME=value."))
        return dict(line.split("=", 1) for line in lines)


class ListField(_Typed):
    """Words between spaces or commas."""

    reads = "list"

    def clean(self, value: Any) -> list[str]:
        return words_of(super().clean(value))


def _number(
    field: type[forms.IntegerField | forms.FloatField], most: int, *, label: Any, help_text: Any = ""
) -> Callable[[], forms.Field]:
    """From 0."""
    return lambda: field(label=label, required=False, min_value=0, max_value=most, help_text=help_text)


def _flag(label: Any, help_text: Any = "") -> Callable[[], forms.Field]:
    return lambda: forms.BooleanField(label=label, required=False, help_text=help_text)


_APP = frozenset({Kind.APP})
#: Kinds that have a first process.
_BOOTING = frozenset(kind for kind in Kind if wants_of(kind).boots)


def _of_app(make: Callable[[], forms.Field]) -> Asked:
    return Asked(make, RUN, _APP, when=When.NEW)


APP: Fields = {
    "app.command": _of_app(
        lambda: WordsField(
            label=_("Command"),
            max_length=4000,
            help_text=_("In place of the image's own, as a shell reads words."),
        )
    ),
    "app.args": _of_app(lambda: WordsField(label=_("Arguments"), max_length=4000)),
    "app.user": _of_app(
        lambda: _Typed(
            label=_("User"), max_length=128, help_text=_("A name that the image knows, or a number.")
        )
    ),
    "app.ports": _of_app(
        lambda: ListField(
            label=_("Published ports"),
            max_length=1000,
            help_text=_("80 takes a free port of the node, 20080:80/tcp that one."),
        )
    ),
    "app.volumes": _of_app(
        lambda: ListField(
            label=_("Volumes"),
            max_length=2000,
            help_text=_("data:/srv/data, or conf:/etc/app:ro for one that is only read."),
        )
    ),
    "app.env": _of_app(lambda: PairsField(label=_("Variables"), help_text=_("One per line: NAME=value."))),
    "app.read_only": _of_app(_flag(_("Its root can't be written to"))),
    "app.init": _of_app(_flag(_("A small init before it"))),
}
DIRECTORY: Fields = {
    "directory.profile": Asked(
        lambda: forms.ChoiceField(
            label=_("Profile"),
            choices=[
                ("shell", _("shell: work at a command line, SFTP, rsync and git")),
                ("sftp", _("sftp: files by SFTP and scp, no shell")),
                ("rsync", _("rsync: files by rsync, no shell")),
                ("git", _("git: repositories, no shell")),
            ],
        ),
        TREE,
        frozenset({Kind.DIRECTORY}),
        When.NEW,
    ),
    "directory.programs": Asked(
        lambda: ListField(
            label=_("Further programs"),
            help_text=_("Each is copied with what it needs: jq zip. Nothing more is in there."),
        ),
        TREE,
        frozenset({Kind.DIRECTORY}),
        When.NEW,
    ),
}
_JAIL = frozenset({Kind.JAIL})
JAIL_BASES = [
    ("thin", _("thin: programs are the image's, read-only and shared")),
    ("thick", _("thick: all of it is its own")),
    ("empty", _("empty: directories, to be filled by upload")),
]
JAIL: Fields = {
    "jail.base": Asked(
        lambda: forms.ChoiceField(
            label=_("Base"),
            choices=JAIL_BASES,
        ),
        SERVICE,
        _JAIL,
        when=When.NEW,
    ),
    "jail.command": Asked(
        lambda: WordsField(
            label=_("Command"),
            max_length=4000,
            help_text=_("What runs in it, as a shell reads words. Empty: the init that its tree has."),
        ),
        SERVICE,
        _JAIL,
    ),
    **{
        f"jail.allow.{word}": Asked(_flag(word.value, means), WALLS, _JAIL)
        for word, means in (
            (Allow.RAW_SOCKETS, _("ping and traceroute: it may send any packet from its own addresses.")),
            (Allow.MOUNT, _("Bind mounts, and mounts moved and taken away, of what it sees; never its base.")),
            (
                Allow.MOUNT_TMPFS,
                _("File systems in its memory, with mount. Each of the two below opens this as well."),
            ),
            (Allow.MOUNT_PROC, _("A /proc of its own. The kernel's bare /proc is seen inside, then.")),
            (Allow.MOUNT_FUSE, _("sshfs and other file systems that programs serve: the device /dev/fuse.")),
            (
                Allow.SYSVIPC,
                _("System V shared memory, semaphores and queues of its own, for old databases."),
            ),
            (Allow.SET_HOSTNAME, _("It may change its host name while it runs.")),
            (Allow.MLOCK, _("Memory that is never swapped, up to its limit and the node's.")),
            (Allow.RESERVED_PORTS, _("Ports below 1024: for a web server that is reached there.")),
            (
                Allow.SOCKET_AF,
                _("Sockets beyond UNIX, IPv4, IPv6 and routes: netlink, and packets with raw_sockets."),
            ),
            (
                Allow.PROC_DEBUG,
                _("gdb and strace; and every user sees all of its processes, not his own alone."),
            ),
            (
                Allow.SUSER,
                _(
                    "Root has root's rights over its files, users and processes, and set-user-id programs give"
                    " them: for an init like systemd, for sudo, and for services that change their user."
                ),
            ),
        )
    },
    "jail.children_max": Asked(
        _number(
            forms.IntegerField,
            MOST_CHILDREN,
            label=_("Containers inside"),
            help_text=_(
                "So many user namespaces may be made in it, with mounts in them; all share its limits."
            ),
        ),
        CONFINEMENT,
        _JAIL,
        when=When.LATER,
    ),
}
SECURITY: Fields = {
    f"security.{name}": Asked(
        _flag(label, means),
        CONFINEMENT,
        # of a jail its own words say so
        _BOOTING if name == "compat32" else _BOOTING - _JAIL,
        when=When.LATER,
    )
    for name, label, means in (
        (
            "nesting",
            _("Containers inside"),
            _(
                "Docker, Podman, LXC and whatever else makes user namespaces. Not even so: Docker's driver for"
                " btrfs (overlay2 is taken), and limits of single containers on a node with cgroup v1. The"
                " kernel's bare /proc and /sys are seen inside."
            ),
        ),
        (
            "firewall",
            _("Its own firewall"),
            _(
                "iptables, nft, ufw, fail2ban's bans, tcpdump, and the networks of Docker and LXC. The part of"
                " the kernel that has been broken most; its rules bind nobody but the environment itself."
            ),
        ),
        (
            "compat32",
            _("32-bit programs"),
            _("A second way into the kernel; without it they end with “Bad system call”."),
        ),
    )
}
BOOT: Fields = {
    "boot.order": Asked(
        _number(
            forms.IntegerField,
            1000,
            label=_("Boot order"),
            help_text=_("When its node starts, the highest begins; the same number starts together."),
        ),
        kinds=_BOOTING,
        when=When.LATER,
    ),
    "boot.delay_s": Asked(
        _number(
            NumberField,
            600,
            label=_("Boot delay (seconds)"),
            help_text=_("Lower numbers wait so long after it has started."),
        ),
        kinds=_BOOTING,
        when=When.LATER,
    ),
}
PROCESSORS: Fields = {
    "cpu_pool": Asked(
        lambda: forms.CharField(
            label=_("Pool of processors"),
            required=False,
            max_length=63,
            help_text=_("Of its node; it runs on those, and nobody outside of the pool does. Empty: none."),
            widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        ),
        PROCESSOR_POOL,
    )
}
RULES: Fields = {
    "limit_rules": Asked(
        lambda: ListField(
            label=_("Rules"),
            max_length=2000,
            help_text=_(
                "memory_mb:log=200, memory_mb:sigterm=240, cpu:log=1.5, processes:log=100, disk_mb:log=900"
            ),
        ),
        LIMIT_RULES,
        kinds=_BOOTING,
        when=When.LATER,
    )
}
BOOT_WORDS: Fields = {
    "boot_words": Asked(
        lambda: ListField(
            label=_("Words for its kernel"),
            max_length=2000,
            help_text=_(
                "single: one person at the console, nothing else. modules=off, loglevel=7, sysctl.NAME=VALUE…"
            ),
        ),
        OWN_KERNEL,
        kinds=frozenset({Kind.SYSTEM}),
        when=When.LATER,
    )
}
PROTECTION: Fields = {
    "protected": Asked(
        _flag(
            _("Delete protection"),
            _("Neither deleted nor reinstalled, nor its disk made smaller, until this is off."),
        )
    )
}
RESTARTS: Fields = {
    "restart.mode": Asked(
        lambda: forms.ChoiceField(
            label=_("When its init ends by itself"),
            choices=[
                ("always", _("start it again, always")),
                ("on-failure", _("start it again after a failure")),
                ("never", _("leave it stopped")),
            ],
        ),
        RESTART,
        _BOOTING,
    )
}
STOPPING: Fields = {
    "stop_timeout_s": Asked(
        _number(NumberField, 600, label=_("Seconds to stop politely, before force")), RESTART, _BOOTING
    )
}
