"""How options are asked for: fields of the create page and of the settings, by their place in the document.

`panel.environments.options` says which option has which.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.document import MOST_NOTES
from panel.environments.option_parts import Asked, Fields, Group, When, flag, number
from panel.environments.typed_fields import ListField, WordsField
from panel.rights.permissions import Permission
from panel.ui.number_field import NumberField
from runtime.contract import Allow, Kind, wants_of
from runtime.contract.jail import MOST_CHILDREN

TREE = Group("tree", _("What it is for"), "", is_folded=False)
SERVICE = Group("jail", _("Jail"), _("Jail saved"), _("At its next start."), is_folded=False)
WALLS = Group(
    "walls",
    _("What its root may do"),
    _("Walls saved"),
    _("All off at first; at its next start. It sees its own mounts alone, and changes nothing of the kernel."),
)
REMARKS = Group("notes", _("Notes"), _("Notes saved"))
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


SCRIPTS = Group(
    "hooks",
    _("Hooks"),
    _("Hooks saved"),
    _("From the next start or stop on. Neither keeps it from running or stopping."),
    is_closed=True,
)
#: Kinds that have a first process.
_BOOTING = frozenset(kind for kind in Kind if wants_of(kind).boots)


def _script(label: Any, help_text: Any) -> Callable[[], forms.Field]:
    def make() -> forms.Field:
        plain = {"rows": 4, "spellcheck": "false", "autocapitalize": "none", "wrap": "off"}
        field = forms.CharField(
            label=label,
            required=False,
            max_length=16_384,
            help_text=help_text,
            strip=False,
            widget=forms.Textarea(attrs=plain),
        )
        field.is_mono = True  # type: ignore[attr-defined]
        return field

    return make


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
        f"jail.allow.{word}": Asked(flag(word.value, means), WALLS, _JAIL)
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
        number(
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
        flag(label, means),
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
        number(
            forms.IntegerField,
            1000,
            label=_("Boot order"),
            help_text=_("When its node starts, the highest begins; the same number starts together."),
        ),
        kinds=_BOOTING,
        when=When.LATER,
    ),
    "boot.delay_s": Asked(
        number(
            NumberField,
            600,
            label=_("Boot delay (seconds)"),
            help_text=_("Lower numbers wait so long after it has started."),
        ),
        kinds=_BOOTING,
        when=When.LATER,
    ),
}
HOOKS: Fields = {
    "hooks.start": Asked(
        _script(
            _("When it has started"),
            _("Runs inside, by /bin/sh as root. How it ended, and what it said, stands in the operation."),
        ),
        SCRIPTS,
        kinds=_BOOTING,
        when=When.LATER,
    ),
    "hooks.stop": Asked(
        _script(_("Before it is asked to stop"), _("Not where it is ended by force, or ends by itself.")),
        SCRIPTS,
        kinds=_BOOTING,
        when=When.LATER,
    ),
    "hooks.within_s": Asked(
        number(NumberField, 120, label=_("Seconds that each may take")),
        SCRIPTS,
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
        flag(
            _("Delete protection"),
            _("Neither deleted nor reinstalled, nor its disk made smaller, until this is off."),
        )
    )
}
NOTES: Fields = {
    "notes": Asked(
        lambda: forms.CharField(
            label=_("Notes"),
            required=False,
            max_length=MOST_NOTES,
            widget=forms.Textarea(attrs={"rows": 6}),
            help_text=_("For whoever looks after it: what runs there, whom to ask. Nothing inside sees them."),
        ),
        REMARKS,
        when=When.LATER,
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
        number(NumberField, 600, label=_("Seconds to stop politely, before force")), RESTART, _BOOTING
    )
}
