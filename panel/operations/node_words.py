"""What nodes say, in the reader's language.

A node speaks English, with numbers and names. Its codes and the names of its steps stay, so the words for
them are here; where they say less than the node did, its own words are shown below them.
`tests/panel/test_node_words.py` looks whether a node can say something that is not here.
"""

import re

from django.utils.translation import get_language, gettext, gettext_lazy
from django.utils.translation import gettext_noop as _

STEPS = {
    "id range": gettext_lazy("id range"),
    "root volume": gettext_lazy("root volume"),
    "namespaces": gettext_lazy("namespaces"),
    "id-mapped root": gettext_lazy("id-mapped root"),
    "guest files": gettext_lazy("guest files"),
    "limits (cgroup)": gettext_lazy("limits (cgroup)"),
    "OCI bundle": gettext_lazy("OCI bundle"),
    "container": gettext_lazy("container"),
    "monitor": gettext_lazy("console and monitor"),
    "init process": gettext_lazy("init process"),
    "network link": gettext_lazy("network link"),
    "addresses and routes": gettext_lazy("addresses and routes"),
    "firewall": gettext_lazy("firewall"),
    "network rate": gettext_lazy("network rate"),
    "start": gettext_lazy("start of init"),
    "pause": gettext_lazy("pause"),
    "resume": gettext_lazy("resume"),
    "shutdown": gettext_lazy("shutdown"),
}

#: By code: why something is not as it was asked for, or what happened to its init.
CAUSES = {
    "address_failed": gettext_lazy("The kernel refused an address or route."),
    "archive_changed": gettext_lazy("The archive is not the one that was handed in."),
    "archive_missing": gettext_lazy("The archive is not on the node."),
    "archive_refused": gettext_lazy("No image can be made of this archive."),
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
    "image_no_init": gettext_lazy("The image has no program to start."),
    "image_unsafe": gettext_lazy("The image can't be used as a root safely."),
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
    "no_address": gettext_lazy("It has no address that a port of the node could lead to."),
    "port_in_use": gettext_lazy("That port of the node is in use by the node itself."),
    "port_outside": gettext_lazy("That port of the node may not lead into environments."),
    "port_taken": gettext_lazy(
        "A port of the node that should lead to it leads to another environment already."
    ),
    "root_lost": gettext_lazy("Its root volume is gone, and nothing here took it away."),
    "runtime_refused": gettext_lazy("The OCI runtime refused to make the container."),
    "runtime_timeout": gettext_lazy("The OCI runtime did not make the container in time."),
    "shaping_failed": gettext_lazy("The network rate can't be set."),
    "slot_foreign": gettext_lazy("Its id range is not one of this node's."),
    "slot_taken": gettext_lazy("Its id range belongs to another environment."),
    "source_unknown": gettext_lazy("The node can't build images of this kind."),
    "too_many_tasks": gettext_lazy("It may have more processes than the node has for all environments."),
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
    "stuck": gettext_lazy("The node waited for a file system that it serves itself, and ended its processes."),
}

#: Whole sentences of nodes and of the panel's own tasks, which have no reader while they speak. What stands
#: for a `phrase` in one may be another of them.
SENTENCES = (
    _("Add an address first."),
    _("Build it on the images page, or choose another."),
    _("Choose a port of that range, or leave it out and one is chosen."),
    _("Choose another port of the node."),
    _("Choose fewer, or have the node made for more (./wadah harden)."),
    _("Create it anew when you want it after all."),
    _("Delete environments or images, or give the node more disk."),
    _("Delete environments or images, or make the pool larger."),
    _("Delete files inside, or choose a larger disk."),
    _("Done, but only after its deadline."),
    _("Give it a longer time to stop, or look on its console for what held it up."),
    _("It did not shut down in time and was ended by force."),
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
    # what steps did
    _("%(count)s SSH keys"),
    _("%(count)s subvolumes"),
    _("%(count)s user ids"),
    _("SSH host keys"),
    _("changed"),
    _("forced"),
    _("forwards"),
    _("guard"),
    _("host name"),
    _("killed"),
    _("made"),
    _("resolvers"),
    _("root password"),
    _("set"),
    _("shut down"),
    _("snapshot of %(image)s"),
    _("the old root is back"),
    _("user ids of its own"),
    # how far images are
    _("cleaning"),
    _("directories"),
    _("downloading packages"),
    _("files"),
    _("finishing"),
    _("installing systemd, sshd and tools"),
    _("installing the base system"),
    _("programs"),
    _("reading the package lists"),
    _("starting"),
    _("taking it into the pool"),
    _("unpacking"),
    _("unpacking the base system"),
    _("unpacking, %(mib)s MiB read"),
    # what became of them
    _("/%(name)s of the image is no plain directory"),
    _("Import it again, on the machine of this node."),
    _("Import it again, with the file."),
    _("Import it again."),
    _("Make it anew from the root of a system: tar --exclude='./dev/*' -C ROOT -c ."),
    _("Set WADAH_DEBIAN_MIRROR to the address of one."),
    _("The image is no longer on the node."),
    _("a system"),
    _("images from “%(source)s” can't be built here"),
    _("it can't be unpacked: %(reason)s"),
    _("it is no tar archive that can be read to its end (%(reason)s)"),
    _("it is no tar archive, plain or packed by gzip, xz, zstd or bzip2"),
    _("it was not unpacked within %(seconds)s s"),
    _("its compression is damaged, cut off, or wants more than 128 MiB of memory"),
    _("no archive was handed in for this image"),
    _("reading it takes more memory than any honest archive needs"),
    _("the archive has more than %(entries)s entries"),
    _("the archive is empty"),
    _("the archive is not on this machine (any more)"),
    _("the archive is not the one that was handed in: its sha256 is another"),
    _("the archive unpacks to more than %(mib)s MiB, which is too much for its size"),
    _("the files of the archive are more than %(mib)s MiB together"),
    _("the image has no /sbin/init"),
    _("there is more behind the end of the archive: only one archive is taken"),
    _("%(name)s in the archive belongs to %(owner)s; 65535 is the highest id"),
    _("%(name)s in the archive has a negative size"),
    _("%(name)s in the archive is a device node: leave /dev empty, it is made at the start"),
    _("%(name)s in the archive is a hard link to %(target)s, outside of it"),
    _("%(name)s in the archive is an absolute path: names must be relative to its root"),
    _("%(name)s in the archive is longer than %(bytes)s bytes or deeper than %(depth)s"),
    _("%(name)s in the archive is of a kind that a root file system has no use for"),
    _("%(name)s in the archive leads out of it by “..”"),
    _("%(name)s in the archive lies behind a symbolic link of the archive"),
    _("%(phrase)s: %(count)s entries"),
    _("%(phrase)s (%(seconds)s s)"),
)


def _as_pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", text)
    named = (f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile("".join(named))


#: Those with values in them, by what a node makes of each.
_WITH_VALUES = [(_as_pattern(text), text) for text in SENTENCES if "%(" in text]


def step_name(name: str) -> str:
    return str(STEPS.get(name, name))


def sentence(text: str) -> str:
    """As it was said, where there are no words for it."""
    translated = gettext(text) if text else ""
    if translated != text or _is_english():
        return translated
    for pattern, said in _WITH_VALUES:
        if found := pattern.fullmatch(text):
            values = found.groupdict()
            if "phrase" in values:
                values["phrase"] = sentence(values["phrase"])
            return gettext(said) % values
    return text


def detail(code: str, text: str) -> str:
    """Of a step: why it failed, when it has a code; else all that it did, which a node puts between commas."""
    return cause(code, text) if code else ", ".join(sentence(one) for one in text.split(", "))


def cause(code: str, message: str) -> str:
    """Why, in a sentence of the reader's; nothing where the node had nothing to say."""
    return _by_code(CAUSES.get(code), message)


def happening(code: str, message: str) -> str:
    return _by_code(EVENTS.get(code), message)


def own_words(shown: str, message: str) -> str:
    """What the node said, where `shown` tells less of it."""
    return message if message and shown not in (message, sentence(message)) else ""


def _by_code(known: object, message: str) -> str:
    if not message or known is None or _is_english():
        return sentence(message)
    translated = sentence(message)
    return translated if translated != message else str(known)


def _is_english() -> bool:
    return (get_language() or "en").startswith("en")
