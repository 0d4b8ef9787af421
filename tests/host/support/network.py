"""A node's network without the rest of a node: a namespace of its own, an outside, and stand-ins for VEs.

A stand-in is a process in a user and a network namespace of its own, as `crun create` leaves one. All
traffic stays in namespaces made here; none has a default route out of them.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from runtime.contract import DesiredState, EnvironmentSpec, Limits, Network
from runtime.glance import Glance
from runtime.host import cgroup, libc, nft
from runtime.host.processes import Identity
from runtime.kinds import Toolbox
from runtime.network.addressing import guest_mac
from runtime.node import Node, default_settings
from runtime.resources import firewall
from runtime.resources.addresses import Addresses
from runtime.resources.base import Resource
from runtime.resources.firewall import Firewall
from runtime.resources.link import Link
from runtime.resources.shaping import Shaping
from runtime.sandboxes.shared.container import init_note

T = TypeVar("T")

#: The outside: documentation networks (RFC 5737, RFC 3849), a private and a metadata address behind it.
NODE_OUTSIDE4, OUTSIDE4 = "198.51.100.1", "198.51.100.2"
NODE_OUTSIDE6, OUTSIDE6 = "2001:db8:1::1", "2001:db8:1::2"
PRIVATE4, PRIVATE6 = "172.20.0.9", "fd77::9"
RESOLVER4 = "172.20.0.53"
METADATA4, METADATA6 = "169.254.169.254", "fd00:ec2::254"
#: Of other clouds; the first one is a resolver too.
CLOUD4, CLOUD6 = ("168.63.129.16", "100.100.100.200", "192.0.0.192"), ("fd20:ce::254", "fd00:42::42")


class Namespace:
    """The network namespace of a process. Sockets opened through it stay in it."""

    def __init__(self, pid: int):
        self.pid = pid

    def do(self, act: Callable[[], T]) -> T:
        """Runs `act` in a thread that has joined the namespace."""
        answer: list[T] = []
        fault: list[BaseException] = []

        def work() -> None:
            try:
                fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
                try:
                    libc.setns(fd, libc.CLONE_NEWNET)
                finally:
                    os.close(fd)
                answer.append(act())
            except BaseException as error:
                fault.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if fault:
            raise fault[0]
        return answer[0]

    def opened(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        made = self.do(lambda: socket.socket(family, kind, protocol))
        made.settimeout(2)
        return made

    def ip(self, words: str, *, check: bool = True) -> str:
        return self._tool("ip", words, check=check)

    def tc(self, words: str) -> str:
        return self._tool("tc", words)

    def _tool(self, name: str, words: str, *, check: bool = True) -> str:
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-n", name, *words.split()],
            check=check,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout

    def as_root_inside(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """With the rights of root in the stand-in's own user namespace, and no others."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-U", "-n", *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
        )

    def listener(self, address: str, port: int, *, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket that listens (TCP) or is bound (UDP)."""
        listening = self.opened(_family(address), kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        if kind == socket.SOCK_STREAM:
            listening.listen(16)
        return listening

    def reaches(self, address: str, port: int, *, timeout_s: float = 0.4) -> bool:
        """Whether a TCP connection is made; a refusal by the other side's kernel counts as reached."""
        with self.opened(_family(address), socket.SOCK_STREAM) as one:
            one.settimeout(timeout_s)
            try:
                one.connect((address, port))
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
            return True

    def sends(self, address: str, port: int, payload: bytes = b"x") -> None:
        with self.opened(_family(address), socket.SOCK_DGRAM) as one:
            one.sendto(payload, (address, port))

    def frames(self, interface: str = "eth0") -> socket.socket:
        """A socket that sends and sees whole frames."""
        packet = self.opened(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        packet.bind((interface, 0))
        return packet


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def gets(receiving: socket.socket, timeout_s: float = 0.3) -> bytes | None:
    """What arrives at a bound UDP socket; None when nothing does."""
    receiving.settimeout(timeout_s)
    try:
        return receiving.recv(65535)
    except TimeoutError:
        return None


@dataclass
class StandIn(Namespace):
    spec: EnvironmentSpec
    process: "subprocess.Popen[bytes]"
    lab: "Lab" = field(repr=False)

    def __post_init__(self) -> None:
        super().__init__(self.process.pid)

    @property
    def link(self) -> str:
        return self.lab.node.link_name(self.spec.id)

    @property
    def mac(self) -> str:
        return guest_mac(self.spec.id)

    @property
    def ipv4(self) -> str:
        return str(self.spec.network.ipv4[0])

    @property
    def ipv6(self) -> str:
        return str(self.spec.network.ipv6[0])

    def ensure(self) -> list[str | None]:
        """All network resources in their order; what each said it did."""
        return [resource.ensure(self.spec) for resource in self.lab.resources]

    def change(self, **fields: object) -> None:
        """A live change of the spec's network or limits, carried out."""
        network = self.spec.network.model_dump(exclude={"interfaces"})
        addresses = {"ipv4": self.spec.network.ipv4, "ipv6": self.spec.network.ipv6}
        network["interfaces"] = [{name: fields.pop(name, known) for name, known in addresses.items()}]
        network.update(fields)
        self.respec(network=network)

    def respec(self, **fields: object) -> None:
        values = {**self.spec.model_dump(), "generation": self.spec.generation + 1, **fields}
        self.spec = EnvironmentSpec.model_validate(values)
        self.ensure()

    def die(self) -> None:
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        """As the engine deletes: the process first, then the resources backwards."""
        self.die()
        for resource in reversed(self.lab.resources):
            resource.remove(self.spec.id)
        for resource in self.lab.resources:
            resource.tidy(self.spec)

    def drift(self) -> list[str]:
        firewall._recent.clear()
        found = (resource.drifted(self.spec, Glance()) for resource in self.lab.resources)
        return [one for one in found if one]


class Lab:
    """The node's namespace, which the test process is in, and what was made there."""

    def __init__(self, node: Node, outside: Namespace):
        self.node = node
        self.here = Namespace(os.getpid())
        self.outside = outside
        tools = Toolbox(node)
        self.resources: list[Resource] = [tools.one(one) for one in (Link, Firewall, Addresses, Shaping)]
        self.made: list[StandIn] = []
        self._next = 10

    @property
    def firewall(self) -> Firewall:
        return Firewall(self.node)

    def spec(
        self, *, tenant: int = 1, limits: dict[str, object] | None = None, **network: object
    ) -> EnvironmentSpec:
        number, self._next = self._next, self._next + 1
        settings = self.node.settings
        assert settings.ipv4_network is not None
        assert settings.ipv6_network is not None
        addresses = {"ipv4": (settings.ipv4_network[number],), "ipv6": (settings.ipv6_network[number],)}
        interface = {name: network.pop(name, value) for name, value in addresses.items()}
        return EnvironmentSpec(
            id=uuid.uuid4(),
            tenant_id=uuid.UUID(int=tenant),
            node=self.node.name,
            name=f"ve-{number}",
            generation=1,
            image="none",
            desired=DesiredState.RUNNING,
            slot=number,
            limits=Limits.model_validate({"cpu": 1, "memory_mb": 64, "disk_mb": 64, **(limits or {})}),
            network=Network.model_validate({"interfaces": [interface], **network}),
        )

    def new(self, **fields: object) -> StandIn:
        """A stand-in with its network up."""
        one = self.start(self.spec(**fields))  # type: ignore[arg-type]
        one.ensure()
        return one

    def start(self, spec: EnvironmentSpec) -> StandIn:
        """The process alone, as after `crun create`."""
        process = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo; exec sleep 600"],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        self._enter_group(spec, process.pid)
        self.node.environment(spec.id).mkdir(parents=True, exist_ok=True)
        init_note(self.node, spec.id).write_text(str(Identity.of(process.pid)))
        one = StandIn(spec=spec, process=process, lab=self)
        self.made.append(one)
        return one

    def _enter_group(self, spec: EnvironmentSpec, pid: int) -> None:
        """What is an environment's init is told by its control group."""
        groups = cgroup.groups()
        path = f"{self.node.cgroup_name}/{spec.tenant_id}/{spec.id}"
        groups.create(path)
        hierarchy = groups.root / "pids" if groups.version == 1 else groups.root
        (hierarchy / groups.payload(path) / "cgroup.procs").write_text(str(pid))

    def clear(self) -> None:
        for one in self.made:
            one.remove()
        self.made.clear()
        cgroup.groups().remove(self.node.cgroup_name)


@contextmanager
def entered_lab() -> Iterator[Lab]:
    """This process in a new node's network namespace; afterwards it is back and all is gone."""
    home = Path(tempfile.mkdtemp(prefix="wadah-net-"))
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, home)
        undo.callback(os.close, before)
        outside = _namespace(undo)
        libc.unshare(libc.CLONE_NEWNET)
        undo.callback(libc.setns, before, libc.CLONE_NEWNET)
        settings = default_settings(home).model_copy(update={"nameservers": (RESOLVER4,)})
        node = Node(home, settings)
        node.run.mkdir()
        lab = Lab(node, Namespace(outside))
        _wire(lab)
        firewall.prepare(node)
        undo.callback(lab.clear)
        yield lab


def _namespace(undo: ExitStack) -> int:
    """Pid of a process in a new network namespace."""
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE
    )
    undo.callback(process.wait)
    undo.callback(process.kill)
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()
    return process.pid


def _wire(lab: Lab) -> None:
    here, outside = lab.here, lab.outside
    here.ip("link set lo up")
    here.ip(f"link add uplink type veth peer name wan netns {outside.pid}")
    here.ip("link set uplink up")
    here.ip(f"addr add {NODE_OUTSIDE4}/24 dev uplink")
    here.ip(f"addr add {NODE_OUTSIDE6}/64 dev uplink nodad")
    outside.ip("link set lo up")
    outside.ip("link set wan up")
    outside.ip(f"addr add {OUTSIDE4}/24 dev wan")
    outside.ip(f"addr add {OUTSIDE6}/64 dev wan nodad")
    for address in (PRIVATE4, RESOLVER4, METADATA4, *CLOUD4):
        outside.ip(f"addr add {address}/32 dev lo")
        here.ip(f"route add {address}/32 via {OUTSIDE4}")
    for address in (PRIVATE6, METADATA6, *CLOUD6):
        outside.ip(f"addr add {address}/128 dev lo nodad")
        here.ip(f"route add {address}/128 via {OUTSIDE6}")


@contextmanager
def watch(link: str) -> Iterator[Callable[[], int]]:
    """Counts what of a link's frames comes past the guard into the host's stack, ARP and IP."""
    name = f"watch{uuid.uuid4().hex[:6]}"
    nft.load(
        f"""
table arp {name} {{
  chain input {{
    type filter hook input priority 10; policy accept;
    iifname "{link}" counter
  }}
}}
table inet {name} {{
  chain prerouting {{
    type filter hook prerouting priority -440; policy accept;
    iifname "{link}" counter
  }}
}}
"""
    )

    def seen() -> int:
        time.sleep(0.03)
        packets = 0
        for family in ("arp", "inet"):
            for one in nft.query({"list": {"table": {"family": family, "name": name}}}):
                for part in one.get("rule", {}).get("expr", []):
                    packets += part.get("counter", {}).get("packets", 0)
        return packets

    try:
        yield seen
    finally:
        nft.change([{"delete": {"table": {"family": family, "name": name}}} for family in ("arp", "inet")])
