"""What nodes say, in the reader's language.

A node speaks English, with numbers and names. Its codes and the names of its steps stay, so the words for
them are here; where they say less than the node did, its own words are shown below them.
`tests/panel/test_node_words.py` looks whether a node can say something that is not here.
"""

from django.utils.translation import get_language, gettext, gettext_lazy
from django.utils.translation import gettext_noop as _

STEPS = {
    "id range": gettext_lazy("id range"),
    "root volume": gettext_lazy("root volume"),
    "id-mapped root": gettext_lazy("id-mapped root"),
    "guest files": gettext_lazy("guest files"),
    "limits (cgroup)": gettext_lazy("limits (cgroup)"),
    "OCI bundle": gettext_lazy("OCI bundle"),
    "init process": gettext_lazy("init process"),
    "network link": gettext_lazy("network link"),
    "addresses and routes": gettext_lazy("addresses and routes"),
    "firewall": gettext_lazy("firewall"),
    "network rate": gettext_lazy("network rate"),
    "start": gettext_lazy("start of init"),
    "shutdown": gettext_lazy("shutdown"),
}

#: By code: why something is not as it was asked for, or what happened to its init.
CAUSES = {
    "address_failed": gettext_lazy("The kernel refused an address or route."),
    "below_used": gettext_lazy("The new size is below what is in use."),
    "busy": gettext_lazy("Something of it is still in use on the node."),
    "cancelled": gettext_lazy("It was cancelled."),
    "command_failed": gettext_lazy("A program on the node failed."),
    "command_timeout": gettext_lazy("A program on the node did not end in time."),
    "console_held": gettext_lazy("Its console could not be freed."),
    "console_lost": gettext_lazy("It runs, without a console: what kept it was killed."),
    "deadline_passed": gettext_lazy("The node did not finish before the deadline."),
    "disk_full": gettext_lazy("Its disk is full."),
    "disk_limit": gettext_lazy("Its disk is full: the limit is reached."),
    "fault": gettext_lazy("The node could not do it."),
    "firewall_refused": gettext_lazy("The kernel refused the firewall's rules."),
    "halted_inside": gettext_lazy("Powered off from inside."),
    "host_lacks": gettext_lazy("The node lacks something that this needs."),
    "idmap_failed": gettext_lazy("The root volume can't be shown with its own user ids."),
    "image_missing": gettext_lazy("The image is not on this node."),
    "init_crashed": gettext_lazy("Its init ended by itself or was killed."),
    "init_gone": gettext_lazy("Its init ended before it was ready."),
    "internal_error": gettext_lazy("Something went wrong within the node's program."),
    "interrupted": gettext_lazy("The process at work on the node was ended several times."),
    "kernel_unavailable": gettext_lazy("This kernel is not available on the node."),
    "kind_unavailable": gettext_lazy("This kind is not offered by the node."),
    "limit_refused": gettext_lazy("The kernel refused a limit."),
    "link_failed": gettext_lazy("The network link can't be made."),
    "link_gone": gettext_lazy("Its network link is gone."),
    "lost_on_node": gettext_lazy("Its node no longer has it: what was on its disk is gone."),
    "monitor_failed": gettext_lazy("The console's monitor gave no answer."),
    "node_full": gettext_lazy("The node has no disk space left."),
    "node_memory": gettext_lazy("The node has no memory left."),
    "node_silent": gettext_lazy("The node was not heard of before the deadline."),
    "os_error": gettext_lazy("The node's kernel refused."),
    "out_of_memory": gettext_lazy("Its init was killed because the memory limit was reached."),
    "pool_full": gettext_lazy("The node's pool is full."),
    "port_taken": gettext_lazy(
        "A port of the node that should lead to it leads to another environment already."
    ),
    "root_lost": gettext_lazy("Its root volume is gone, and nothing here took it away."),
    "runtime_refused": gettext_lazy("The OCI runtime refused to make the container."),
    "runtime_timeout": gettext_lazy("The OCI runtime did not make the container in time."),
    "shaping_failed": gettext_lazy("The network rate can't be set."),
    "slot_foreign": gettext_lazy("Its id range is not one of this node's."),
    "slot_taken": gettext_lazy("Its id range belongs to another environment."),
    "unkillable": gettext_lazy("Its processes did not end after being killed."),
    "unsafe_path": gettext_lazy("A path inside can't be used."),
    "volume_busy": gettext_lazy("The root volume can't be deleted."),
    "volume_failed": gettext_lazy("The root volume can't be made."),
}

#: By code: what happened without anybody asking for it.
EVENTS = {
    "repaired": gettext_lazy("Something of it had changed or was gone on the node, and was brought back."),
    "out_of_memory": gettext_lazy("Out of memory: the kernel killed some of its processes."),
    "console_lost": gettext_lazy("What kept its console was killed; the console is back after its next start."),
}

#: Whole sentences of nodes and of the panel's own tasks, which have no reader while they speak.
SENTENCES = (
    _("Build it on the images page, or choose another."),
    _("Choose another port of the node."),
    _("Create it anew when you want it after all."),
    _("Delete environments or images, or give the node more disk."),
    _("Delete environments or images, or make the pool larger."),
    _("Delete files inside, or choose a larger disk."),
    _("Done, but only after its deadline."),
    _("It is done when the node is back; an administrator looks at the node's worker."),
    _("Kernel 5.19 or newer is needed for id-mapped btrfs mounts; see doctor."),
    _("Look for it in the node's pool, or reinstall to begin with an empty one."),
    _("Please report it with the node's log."),
    _("Press Start to run it again."),
    _("Put a plain file or directory there."),
    _("Start it to have it made anew from its image, restore a backup, or delete it."),
    _("Stop environments on this node, or give it more memory; then try again."),
    _("Stop it instead."),
    _("Stop something inside, or choose a larger size."),
    _("Try again later."),
    _("Try again; if it fails again, an administrator looks at the node's log."),
    _("Try again; if it happens again, look at the node's log."),
    _("Try again; if it happens again, look at the node's page."),
    _("Use a terminal; the console is back after a restart."),
)


def step_name(name: str) -> str:
    return str(STEPS.get(name, name))


def sentence(text: str) -> str:
    """As it was said, where there are no words for it."""
    return gettext(text) if text else ""


def cause(code: str, message: str) -> str:
    """Why, in a sentence of the reader's; nothing where the node had nothing to say."""
    return _by_code(CAUSES.get(code), message)


def happening(code: str, message: str) -> str:
    return _by_code(EVENTS.get(code), message)


def own_words(shown: str, message: str) -> str:
    """What the node said, where `shown` tells less of it."""
    return message if message and shown not in (message, sentence(message)) else ""


def _by_code(known: object, message: str) -> str:
    if not message or known is None or (get_language() or "en").startswith("en"):
        return sentence(message)
    translated = sentence(message)
    return translated if translated != message else str(known)
