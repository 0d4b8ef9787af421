"""Commands and terminals under a guarded kernel: a process of its container asks gVisor for a process of what
that guards, and hands streams, signals and exit code on."""

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.words import agent, kernels
from runtime.errors import RuntimeFault
from runtime.network.addressing import interface_name
from runtime.node import Node
from runtime.sandboxes.guarded.config import GIVEN, NAME, RUNSC, TOOL, UNTIL_IT_RUNS
from runtime.sandboxes.shared.bundle import process_of
from runtime.sandboxes.shared.inner import described, entering

_TELL_S = 20.0
#: Whoever an app or a jail runs as.
_AS_ROOT = {
    "user": {"uid": 0, "gid": 0},
    "capabilities": {one: ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"] for one in ("bounding", "effective", "permitted")},
}
_CALL = "CALL="
#: The description goes by a pipe, so that it stands in no list of processes. `8` is held by what asks for as
#: long as it lives: when it was killed, its end is read, and what it had begun inside is killed as well.
_ASK = f"""
{UNTIL_IT_RUNS}
f=/run/calls/$$
busybox mkfifo $f.lives
(busybox setsid busybox sh -c "$WATCH" watch $f <$f.lives >/dev/null 2>&1 &)
exec 8>$f.lives
busybox rm $f.lives
{shlex.join(RUNSC)} exec --internal-pid-file=$f --process=/proc/self/fd/9 {NAME} 9<<END
$CALL
END
code=$?
[ -s $f ] || code=127
[ $code -lt 128 ] && echo over >&8
exit $code
"""
#: What descends from the command, and what is of its session, by what the guarded kernel itself lists.
_ROUND_UP = """
doomed=" $1 "
for round in 1 2 3; do
  for one in /proc/[0-9]*/stat; do
    read line <$one || continue
    pid=${line%% *}; set -- ${line##*) }
    case "$doomed" in *" $pid "*) continue ;; esac
    case "$doomed" in *" $2 "* | *" $4 "*) doomed="$doomed$pid " ;; esac
  done
done
kill -9 $doomed
"""
_WATCH = f"""
read over || true
p=$(busybox cat "$1"); busybox rm -f "$1"
[ "$over" = over ] || [ -z "$p" ] && exit
{shlex.join(RUNSC)} exec {NAME} {TOOL} sh -c "$ROUND_UP" kill "$p"
"""


def process(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None,
) -> dict[str, Any]:
    """OCI `process` of a further process of the container, which runs this inside. Raises `RuntimeFault`."""
    outer = process_of(node, environment_id)
    asked = described(
        node, environment_id, command, terminal=terminal, environment=environment, of=_given(outer)["process"]
    )
    return {
        **outer,
        "terminal": terminal,
        "args": ["/bin/busybox", "sh", "-c", _ASK],
        "env": [_CALL + json.dumps(asked), f"ROUND_UP={_ROUND_UP}", f"WATCH={_WATCH}", "PATH=/bin", "HOME=/"],
    }


def _given(outer: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of what is guarded."""
    for one in outer["env"]:
        if one.startswith(GIVEN):
            found: dict[str, Any] = json.loads(one.removeprefix(GIVEN))
            return found
    raise RuntimeFault(agent.no_bundle(), code="no_bundle")


def tell(node: Node, spec: EnvironmentSpec) -> None:
    """Name and addresses as the spec has them, to what runs. Raises `RuntimeFault`."""
    words = [TOOL, "sh", "-c", "\n".join([f"hostname {shlex.quote(spec.host_name)}", *_address_lines(spec)])]
    asks = process(node, spec.id, words, terminal=False, environment={"PATH": "/"})
    asks["env"][0] = _CALL + json.dumps({**_asked(asks), **_AS_ROOT})
    with entering(node, spec.id, asks, pid_file=None) as inner:
        try:
            done = subprocess.run(
                inner.words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=dict(inner.environment),
                pass_fds=inner.descriptors,
                start_new_session=True,
                cwd="/",
                timeout=_TELL_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise RuntimeFault(kernels.no_agent(), code="no_agent") from late
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["?"]
        line = "".join(one for one in said[-1] if one.isprintable())[:200]
        raise RuntimeFault(kernels.not_told(line), code="not_told")


def _asked(asks: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asks["env"][0].removeprefix(_CALL))
    return found


def _address_lines(spec: EnvironmentSpec) -> list[str]:
    """What is there and isn't given any more goes first. What root inside added himself, of other forms than
    ours, stays."""
    link = interface_name()
    wanted = [f"{one}/32" for one in spec.network.ipv4] + [f"{one}/128" for one in spec.network.ipv6]
    return [
        f"there=$(ip -o addr show dev {link} | awk '{{print $4}}')",
        "for one in $there; do",
        f"  case $one in {'|'.join(wanted) or '-'}) ;; */32 | */128) ip addr del $one dev {link} ;; esac",
        "done",
        "set -e",
        *(f'case "$there" in *{one}*) ;; *) ip addr add {one} dev {link} ;; esac' for one in wanted),
    ]
