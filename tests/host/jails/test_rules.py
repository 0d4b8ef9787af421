"""Rules of limits on the kernel: what is told, and who is signalled."""

import time

from runtime.agent.usage_sampler import Sampler
from runtime.contract import EnvironmentSpec, EventCode, Report
from runtime.engine import Engine
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until


class _Outbox:
    def __init__(self) -> None:
        self.events: list[tuple[EventCode, str]] = []

    def put(self, *_: object, **__: object) -> None: ...

    def send(self, _key: object, _task: str, document: dict[str, object]) -> None:
        report = Report.model_validate(document)
        self.events += [(one.code, str(one.message)) for one in report.events]


def looked(node: Node, spec: EnvironmentSpec, *, times: int = 1) -> list[str]:
    """What is told when its use is sampled so often; others of the node have no rules."""
    outbox = _Outbox()
    sampler = Sampler(node, outbox)  # type: ignore[arg-type]
    for number in range(times):
        if number:
            time.sleep(1)
        sampler.send_usage()
    assert all(code is EventCode.LIMIT_RULE for code, _ in outbox.events)
    return [said for _, said in outbox.events]


def _eats(mib: int) -> str:
    """A shell that holds so much memory in a variable."""
    filled = f"x=$(head -c {mib * 2**20} /dev/zero | tr '\\0' x); sleep 300; :"
    return f'sh -c "{filled.replace("$", chr(92) + "$")}" >/dev/null 2>&1 </dev/null &'


def test_freebsd_jail_rctl_log_tells_of_it(make: Make, node: Node) -> None:
    spec = make(limit_rules=("processes:log=1", "processes:log=400"))
    assert looked(node, spec, times=2) == [f"it has {_count(node, spec)}, by the rule processes:log=1"]


def _count(node: Node, spec: EnvironmentSpec) -> str:
    return str(sandbox_of(node).usage(spec.id).processes)


def test_freebsd_jail_rctl_signal_ends_who_has_most(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    sh(node, spec, "(sleep 4711 >/dev/null 2>&1 </dev/null &); " + _eats(32))
    wait_until(lambda: _memory(node, spec) > 24, "its memory")
    spec = specs.change(spec, limit_rules=("memory_mb:sigkill=24",))
    report = engine.apply(spec)
    assert report is not None and not report.code
    [said] = looked(node, spec)
    assert "by the rule memory_mb:sigkill=24" in said and "was signalled" in said
    wait_until(lambda: _memory(node, spec) < 24, "its end")
    assert sh(node, spec, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep 471[1]'") == "sleep 4711", (
        "the others go on"
    )


def _memory(node: Node, spec: EnvironmentSpec) -> float:
    return sandbox_of(node).usage(spec.id).memory_bytes / 2**20
