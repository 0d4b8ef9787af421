"""How an app is asked for, on the create page and in its settings. What is left empty, its image says."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.option_parts import Asked, Fields, Group, When, flag
from panel.environments.typed_fields import (
    LinesField,
    ListField,
    PairsField,
    ProbeField,
    ScriptField,
    TypedField,
)
from panel.ui.number_field import NumberField
from runtime.contract import Kind
from runtime.contract.health import LEAST_INTERVAL_S, MOST_PERIOD_S, MOST_TIMEOUT_S

_RESTARTS = _("It restarts: an app reads this at its start.")
RUN = Group(
    "run",
    _("How it runs"),
    _("How it runs saved"),
    _("What is left empty, the image says."),
    is_folded=False,
    confirm=_RESTARTS,
)
AROUND = Group(
    "around",
    _("What is around it"),
    _("What is around it saved"),
    _("Directories, memory, names, terminal."),
    is_closed=True,
    confirm=_RESTARTS,
)
WALLS = Group(
    "rights",
    _("What its processes may"),
    _("What its processes may saved"),
    _("Capabilities, limits of a process, settings of the kernel."),
    is_closed=True,
    confirm=_RESTARTS,
)
HEALTH = Group(
    "health",
    _("How its health is asked"),
    _("Health check saved"),
    _("At once. A command, HTTP or TCP; with none of them the image's own check holds."),
    is_closed=True,
)
LOGS = Group(
    "logs",
    _("Where its log goes"),
    _("Where its log goes saved"),
    _("At once. The console keeps what it keeps all the same."),
    is_closed=True,
)


def _of_app(
    make: Callable[[], forms.Field], group: Group = RUN, *, when: When = When.ALWAYS, whole: str = ""
) -> Asked:
    return Asked(make, group, frozenset({Kind.APP}), when, is_nullable=True, whole=whole)


def _of_health(make: Callable[[], forms.Field]) -> Asked:
    return _of_app(make, HEALTH, whole="app.health")


def _seconds(label: Any, least: float, most: float, help_text: Any = "") -> Callable[[], forms.Field]:
    return lambda: NumberField(
        label=label, required=False, min_value=least, max_value=most, help_text=help_text
    )


APP: Fields = {
    "app.command": _of_app(
        lambda: ScriptField(
            label=_("Command"), help_text=_("In place of the image's own, as a shell reads words.")
        )
    ),
    "app.args": _of_app(lambda: ScriptField(label=_("Arguments"))),
    "app.user": _of_app(
        lambda: TypedField(
            label=_("User"), max_length=128, help_text=_("A name that the image knows, or a number.")
        )
    ),
    "app.ports": _of_app(
        lambda: ListField(
            label=_("Published ports"),
            max_length=1000,
            help_text=_("80 takes a free port of the node, 20080:80/tcp that one."),
        ),
        when=When.NEW,
    ),
    "app.volumes": _of_app(
        lambda: ListField(
            label=_("Volumes"),
            max_length=2000,
            help_text=_("data:/srv/data, or conf:/etc/app:ro for one that is only read."),
        ),
        when=When.NEW,
    ),
    "app.env": _of_app(
        lambda: PairsField(
            label=_("Variables"),
            help_text=_("One per line: NAME=value. Values of several lines, the API sets; they stay."),
        )
    ),
    "app.read_only": _of_app(flag(_("Its root can't be written to"))),
    "app.init": _of_app(flag(_("A small init before it"))),
    "app.workdir": _of_app(lambda: TypedField(label=_("Working directory"), max_length=1024), AROUND),
    "app.tmpfs": _of_app(
        lambda: LinesField(
            label=_("Directories in memory"),
            help_text=_("One per line: /run. Empty at each start, and never read-only."),
        ),
        AROUND,
    ),
    "app.shm_mb": _of_app(
        lambda: forms.IntegerField(
            label=_("Shared memory, MiB"),
            required=False,
            min_value=1,
            max_value=1_048_576,
            help_text=_("Of /dev/shm. Empty: half of its memory."),
        ),
        AROUND,
    ),
    "app.hosts": _of_app(
        lambda: PairsField(label=_("Further host names"), help_text=_("One per line: NAME=address.")), AROUND
    ),
    "app.hostname": _of_app(
        lambda: TypedField(label=_("Host name"), max_length=63, help_text=_("Empty: the environment's name.")),
        AROUND,
    ),
    "app.labels": _of_app(
        lambda: PairsField(
            label=_("Labels"), help_text=_("One per line: NAME=value. Nobody acts on them; at once.")
        ),
        AROUND,
    ),
    "app.cap_add": _of_app(
        lambda: ListField(
            label=_("Further capabilities"),
            max_length=1000,
            help_text=_("NET_ADMIN, SYS_PTRACE…, of its root; ALL: all that its class of confinement has."),
        ),
        WALLS,
    ),
    "app.cap_drop": _of_app(
        lambda: ListField(
            label=_("Capabilities that it hasn't"), max_length=1000, help_text=_("ALL: none but those above.")
        ),
        WALLS,
    ),
    "app.ulimits": _of_app(
        lambda: PairsField(
            label=_("Limits of a process"),
            help_text=_("One per line: nofile=1024:65536, memlock=-1. No more than the node itself may."),
        ),
        WALLS,
    ),
    "app.sysctls": _of_app(
        lambda: PairsField(
            label=_("Settings of the kernel"),
            help_text=_("One per line: net.core.somaxconn=1024. Those that are its own, on the host's kernel."),
        ),
        WALLS,
    ),
    "app.stop_signal": _of_app(
        lambda: TypedField(
            label=_("Signal that stops it"), max_length=15, help_text=_("SIGTERM, SIGQUIT… Empty: the image's.")
        ),
        AROUND,
    ),
    "app.tty": _of_app(flag(_("It has a terminal"), _("Both of its streams are stdout then.")), AROUND),
    "app.health.command": _of_health(
        lambda: ScriptField(
            label=_("Check: a command"), help_text=_("Run inside, as a shell reads words; 0 is well.")
        )
    ),
    "app.health.http": _of_health(
        lambda: ProbeField(
            label=_("Check: HTTP"), max_length=1100, help_text=_("8080/ready; 200 to 399 is well.")
        )
    ),
    "app.health.tcp": _of_health(
        lambda: forms.IntegerField(label=_("Check: TCP port"), required=False, min_value=1, max_value=65_535)
    ),
    "app.health.interval": _of_health(
        _seconds(_("Seconds between checks"), LEAST_INTERVAL_S, MOST_PERIOD_S, _("Empty: 30, or the image's."))
    ),
    "app.health.timeout": _of_health(_seconds(_("Seconds that one may take"), 1, MOST_TIMEOUT_S)),
    "app.health.retries": _of_health(
        lambda: forms.IntegerField(
            label=_("Failures in a row until it is unhealthy"), required=False, min_value=1, max_value=100
        )
    ),
    "app.health.start_period": _of_health(
        _seconds(_("Seconds after its start that don't count"), 0, MOST_PERIOD_S)
    ),
    "app.health.action": _of_health(
        lambda: forms.ChoiceField(
            label=_("When it becomes unhealthy"),
            required=False,
            choices=[("none", _("tell of it")), ("restart", _("start it anew"))],
        )
    ),
    "app.health.disable": _of_health(flag(_("Don't ask, whatever its image says"))),
    "app.logs.to": _of_app(
        lambda: TypedField(
            label=_("Address of its receiver"),
            max_length=512,
            help_text=_("syslog+udp://HOST:PORT, syslog+tcp, syslog+tls, loki+http or loki+https."),
        ),
        LOGS,
        whole="app.logs",
    ),
    "app.logs.tag": _of_app(
        lambda: TypedField(
            label=_("Name in each record"), max_length=48, help_text=_("Empty: the environment's name.")
        ),
        LOGS,
        whole="app.logs",
    ),
}
