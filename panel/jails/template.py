"""A Bastillefile understood: what each of its lines becomes here, or why it can't be had."""

import re
import shlex
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.jails.conf import BadConf
from panel.jails.meaning import Remark, Wanted
from panel.jails.rctl import amount_of, lay_limit
from panel.text import shell_words

MOST_LINES, MOST_LETTERS = 500, 100_000
#: Of files that come along, together.
MOST_BYTES = 400_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_USE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_UNIT = re.compile(r"[A-Za-z0-9@._-]{1,128}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._/:=-]{0,127}")
_NOT_HERE: dict[str, Promise] = {
    "MOUNT": gettext_lazy("directories of the host aren't shown inside; attach a volume"),
    "INCLUDE": gettext_lazy("nothing is brought from elsewhere; write its lines here"),
    "CONFIG": gettext_lazy("what a jail may is set with its options"),
    "RESTART": gettext_lazy("restart it when all of this is done"),
    "FSTAB": gettext_lazy("directories of the host aren't shown inside; attach a volume"),
    "PRE": gettext_lazy("nothing of a tenant's runs on the host"),
}


@dataclass(frozen=True)
class Step:
    """What runs inside, as root."""

    line: int
    verb: str
    command: str
    """For /bin/sh."""


@dataclass
class Template:
    steps: list[Step] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    forwards: list[tuple[str, int, int]] = field(default_factory=list)
    """Protocol, port of the node, port inside."""
    tags: list[str] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)

    @property
    def script(self) -> str:
        """All steps, for /bin/sh: it ends with the code of the first that fails, and says of which line."""
        head = "trap 'c=$?; [ $c = 0 ] || echo \"template: line $L ended with $c\" >&2' EXIT\nset -e\ncd /\n"
        return head + "".join(
            f"L={one.line}\n/bin/sh -e -c {shlex.quote(one.command)} </dev/null\n" for one in self.steps
        )


@dataclass
class _Reading:
    template: Template
    files: Mapping[str, bytes]
    is_thin: bool
    args: dict[str, str]
    placed: dict[str, int] = field(default_factory=dict)
    """Where files were copied to, and by which step."""

    def run(self, line: int, verb: str, command: str) -> None:
        self.template.steps.append(Step(line, verb, command))


def understood(text: str, files: Mapping[str, bytes], args: Mapping[str, str], *, is_thin: bool) -> Template:
    """`files`: of the template, by path; `args`: laid over those of its ARG lines. Raises `BadConf`."""
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise BadConf(MOST_LINES, _("%(most)s lines at most") % {"most": MOST_LINES})
    if sum(len(one) for one in files.values()) > MOST_BYTES:
        raise BadConf(1, _("its files have %(most)s bytes at most together") % {"most": MOST_BYTES})
    reading = _Reading(Template(), files, is_thin, {})
    for number, line in enumerate(lines, 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        verb, _space, rest = words.partition(" ")
        verb, rest = verb.upper(), rest.strip()
        if verb == "ARG":
            _arg(reading, number, rest, args)
            continue
        rest = _USE.sub(lambda use: reading.args.get(use[1], use[0]), rest)
        why: Promise | str = _NOT_HERE.get(verb, "")
        if not why:
            take = _VERBS.get(verb)
            why = _("no such verb is known here") if take is None else take(reading, number, rest)
        if why:
            reading.template.left_out.append(Remark(number, verb[:40], str(why)))
    if not any(
        (reading.template.steps, reading.template.limits, reading.template.forwards, reading.template.left_out)
    ):
        raise BadConf(1, _("It says nothing to be done."))
    return reading.template


def _arg(reading: _Reading, line: int, rest: str, given: Mapping[str, str]) -> None:
    name, has_value, value = rest.partition("=")
    if not _NAME.fullmatch(name):
        raise BadConf(line, _("ARG is NAME or NAME=VALUE"))
    if name in given:
        value = given[name]
    elif not has_value:
        raise BadConf(line, _("%(name)s has no value: give one with the template") % {"name": name})
    reading.args[name] = value.strip().strip("\"'")


def _cmd(reading: _Reading, line: int, rest: str) -> str:
    reading.run(line, "CMD", rest)
    return "" if rest else _("it names no command")


def _pkg(reading: _Reading, line: int, rest: str) -> str:
    names = rest.split()
    if reading.is_thin:
        return _("a thin jail's programs are its base's: use a thick one, or an image that has them")
    if not names or not all(_PACKAGE.fullmatch(one) for one in names):
        return _("it takes names of packages")
    which = shlex.join(names)
    reading.run(
        line,
        "PKG",
        "if command -v apt-get >/dev/null; then export DEBIAN_FRONTEND=noninteractive; apt-get -q update; "
        f"apt-get -qy install {which}; elif command -v apk >/dev/null; then apk add {which}; "
        "else echo 'there is neither apt-get nor apk here' >&2; exit 127; fi",
    )
    return ""


def _sysrc(reading: _Reading, line: int, rest: str) -> str:
    for one in rest.split():
        name, _equals, value = one.partition("=")
        service, _line, last = name.rpartition("_")
        value = value.strip("\"'").upper()
        if last != "enable" or value not in ("YES", "NO") or not _UNIT.fullmatch(service):
            return _(
                "there is no rc.conf here but for NAME_enable=YES or NO: copy a file that its program reads"
            )
        on = value == "YES"
        reading.run(
            line,
            "SYSRC",
            f"if command -v systemctl >/dev/null; then systemctl {'enable' if on else 'disable'} {service}; "
            f"else rc-update {'add' if on else 'del'} {service}; fi",
        )
    return ""


def _service(reading: _Reading, line: int, rest: str) -> str:
    words = rest.split()
    if len(words) != 2 or not all(_UNIT.fullmatch(one) for one in words):
        return _("it takes a service and a verb")
    name, verb = words
    reading.run(
        line,
        "SERVICE",
        f"if command -v service >/dev/null; then service {name} {verb}; else systemctl {verb} {name}; fi",
    )
    return ""


def _cp(reading: _Reading, line: int, rest: str) -> str:
    try:
        words = shell_words(rest)
    except ValueError:
        words = []
    if len(words) != 2 or ".." in PurePosixPath(words[1]).parts:
        return _("it takes a file or directory of the template, and a place inside")
    source, to = words[0].strip("/"), "/" + words[1].strip("/")
    is_inside = words[1].endswith("/") or to == "/"
    found = {
        path: _place(path, source, to, is_inside=is_inside)
        for path in reading.files
        if path == source or path.startswith(f"{source}/")
    }
    if not found:
        return _("no file %(name)s came with the template") % {"name": source[:80]}
    for path, place in found.items():
        reading.placed[place] = len(reading.template.steps)
        reading.run(line, "CP", _copy(place, reading.files[path]))
    return ""


def _place(path: str, source: str, to: str, *, is_inside: bool) -> str:
    """As cp -R has it: into a directory under its own name, else under the new one."""
    below = path.removeprefix(source).strip("/")
    parts = [to, PurePosixPath(source).name if is_inside or below else "", below]
    return str(PurePosixPath("/", *(one for one in parts if one)))


def _copy(place: str, data: bytes) -> str:
    above, name = shlex.quote(str(PurePosixPath(place).parent)), shlex.quote(place)
    return f"mkdir -p {above}; printf %s '{b64encode(data).decode()}' | base64 -d > {name}"


def _render(reading: _Reading, line: int, rest: str) -> str:
    path = str(PurePosixPath("/", rest.strip("/")))
    found = [one for one in reading.placed if one == path or one.startswith(f"{path.rstrip('/')}/")]
    if not found:
        return _("values are put into files that CP brought, and no other")
    for place in found:
        values = "".join(
            f" -e {shlex.quote('s|${' + name + '}|' + _literal(value) + '|g')}"
            for name, value in reading.args.items()
        )
        if values:
            reading.run(line, "RENDER", f"sed -i{values} {shlex.quote(place)}")
    return ""


def _literal(value: str) -> str:
    """What sed(1) puts in as it is."""
    return re.sub(r"([\\|&])", r"\\\1", value)


def _line_in_file(reading: _Reading, line: int, rest: str) -> str:
    try:
        words = shell_words(rest)
    except ValueError:
        words = []
    if len(words) != 2:
        return _("it takes a line and a file")
    text, path = (shlex.quote(one) for one in words)
    reading.run(
        line, "LINE_IN_FILE", f"grep -qxF -- {text} {path} 2>/dev/null || printf '%s\\n' {text} >> {path}"
    )
    return ""


def _limits(reading: _Reading, line: int, rest: str) -> str:
    words = rest.split()
    amount = amount_of(words[1]) if len(words) == 2 else None
    if amount is None:
        return _("it takes a resource and an amount")
    wanted = Wanted(line, "", limits=reading.template.limits)
    return lay_limit(wanted, words[0], amount)


def _rdr(reading: _Reading, line: int, rest: str) -> str:
    words = rest.split()
    if len(words) != 3 or words[0] not in ("tcp", "udp") or not all(one.isdigit() for one in words[1:]):
        return _("it takes tcp or udp, a port of the node and a port inside; nothing more of it is honoured")
    reading.template.forwards.append((words[0], int(words[1][:9]), int(words[2][:9])))
    return ""


def _tags(reading: _Reading, line: int, rest: str) -> str:
    reading.template.tags += [one for one in rest.replace(",", " ").split() if one not in reading.template.tags]
    return ""


_VERBS: dict[str, Callable[[_Reading, int, str], str]] = {
    "CMD": _cmd,
    "PKG": _pkg,
    "SYSRC": _sysrc,
    "SERVICE": _service,
    "CP": _cp,
    "OVERLAY": lambda reading, line, rest: _cp(reading, line, f"{rest} /"),
    "RENDER": _render,
    "LINE_IN_FILE": _line_in_file,
    "LIMITS": _limits,
    "RDR": _rdr,
    "TAGS": _tags,
}


def failed_line(stderr: str) -> int | None:
    """Of the step that ended a script; None: none did."""
    found: Sequence[str] = re.findall(r"^template: line (\d{1,6}) ended with \d+$", stderr, re.MULTILINE)
    return int(found[-1]) if found else None
