"""Scripts that run inside at a start and before a stop: OpenVZ's action scripts, hooks of LXC and jail(8)."""

from runtime.contract import DesiredState, EnvironmentSpec, Hooks, JailOptions, Kind, Report
from runtime.engine import Engine
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs


def _told(report: Report | None) -> dict[str, str]:
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    return {one.name: str(one.detail) for one in report.steps if one.name.endswith("hook")}


def test_openvz_action_scripts_run_inside_and_are_told_with_the_operation(
    engine: Engine, specs: Specs, node: Node, make: Make, busybox: str
) -> None:
    hooks = Hooks(
        start="id -u; hostname; echo started >> /root/note",
        stop="ps >/dev/null && echo 'stopping now' | tee -a /root/note; exit 3",
    )
    spec = make(kind=Kind.SYSTEM, image=busybox, hooks=hooks)
    assert sh(node, spec, "cat /root/note") == "started"

    def applied(of: EnvironmentSpec, **fields: object) -> tuple[EnvironmentSpec, dict[str, str]]:
        changed = specs.change(of, **fields)
        return changed, _told(engine.apply(changed))

    spec, told = applied(spec, boots=1)
    assert told == {
        "stop hook": "ended with 3: stopping now",
        "start hook": f"ended well: 0 {spec.name}",
    }
    assert sh(node, spec, "cat /root/note").split("\n") == ["started", "stopping now", "started"]
    spec, told = applied(spec, hooks=Hooks(start="sleep 30", stop="echo never >> /root/note", within_s=1))
    assert told == {}, "nothing is run by a change alone"
    spec, told = applied(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    assert told == {}, "who is ended by force isn't asked"
    spec, told = applied(spec, desired=DesiredState.RUNNING)
    assert told == {"start hook": "ended after 1 s, its deadline"}
    assert "never" not in sh(node, spec, "cat /root/note")
    assert "sleep" not in sh(node, spec, "ps")


def test_freebsd_jail_and_lxc_hooks_change_nothing_of_its_walls(
    engine: Engine, specs: Specs, node: Node, make: Make, busybox: str
) -> None:
    """What a script inside may is what root of the jail may."""
    spec = make(
        kind=Kind.JAIL,
        image=busybox,
        jail=JailOptions(),
        hooks=Hooks(start="ping -c 1 127.0.0.1 || touch /usr/mine || echo walled"),
    )
    report = engine.apply(specs.change(spec, boots=1))
    assert "walled" in _told(report)["start hook"]
