"""The relay of an own kernel, a process without any right: between kernel and disk server, and between the
agent in the guest and whoever has something to do there.

Kernel and disk server speak vhost-user. Of two things each expects another form, and the relay brings them
together: the table of memory, which the kernel sends with room for more regions than it has, and the device's
configuration, which the disk server doesn't keep. Data of files doesn't come by: that is shared memory.
"""

import array
import os
import selectors
import socket
import struct
from contextlib import suppress

from runtime.sandboxes.own.inside.frames import TO_GUEST, Kind, Line, Reader, frame

TAG = b"root"
_HEADER = struct.Struct("<III")
#: linux/Documentation of vhost-user (QEMU, docs/interop/vhost-user.rst): requests and one feature of the
#: protocol.
_SET_MEMORY, _GET_FEATURES, _SET_FEATURES, _GET_CONFIG = 5, 15, 16, 24
_HAS_CONFIG = 1 << 9
_IS_REPLY = 0x4
_MOST_DESCRIPTORS = 8
_LONGEST_MESSAGE = 64 * 1024
#: Of what waits for one client: who doesn't read is left.
_MOST_WAITING = 4 * 2**20
#: virtio specification 1.2, 5.11.4: the tag, and the number of request queues.
_CONFIG = TAG.ljust(36, b"\0") + struct.pack("<I", 1)


def receive(peer: socket.socket) -> tuple[int, int, bytes, list[int]] | None:
    """One message: request, flags, payload, descriptors; None at the end."""
    descriptors = array.array("i")
    head, extra, _, _ = peer.recvmsg(_HEADER.size, socket.CMSG_SPACE(_MOST_DESCRIPTORS * descriptors.itemsize))
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    while head and len(head) < _HEADER.size:
        head += peer.recv(_HEADER.size - len(head)) or b""
    if not head:
        return None
    request, flags, size = _HEADER.unpack(head)
    if size > _LONGEST_MESSAGE:
        return None
    payload = b""
    while len(payload) < size:
        piece = peer.recv(size - len(payload))
        if not piece:
            return None
        payload += piece
    return request, flags, payload, list(descriptors)


def send(peer: socket.socket, request: int, flags: int, payload: bytes, descriptors: list[int]) -> None:
    data = _HEADER.pack(request, flags, len(payload)) + payload
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sent = peer.sendmsg([data], extra)
    peer.sendall(data[sent:])
    for one in descriptors:
        os.close(one)


class Disk:
    """The kernel's words on their way to the disk server, and its answers."""

    def __init__(self, kernel: socket.socket, server: socket.socket):
        self.kernel, self.server = kernel, server

    def from_kernel(self) -> bool:
        """False at its end."""
        message = receive(self.kernel)
        if message is None:
            return False
        request, flags, payload, descriptors = message
        if request == _GET_CONFIG:
            offset, size, kind = struct.unpack_from("<III", payload)
            data = _CONFIG[offset : offset + size].ljust(size, b"\0")[: len(payload) - 12]
            answer = struct.pack("<III", offset, size, kind) + data
            send(self.kernel, request, flags | _IS_REPLY, answer, [])
            return True
        if request == _SET_MEMORY:
            regions = struct.unpack_from("<I", payload)[0]
            payload = payload[: 8 + 32 * regions]
        elif request == _SET_FEATURES:
            payload = struct.pack("<Q", struct.unpack("<Q", payload)[0] & ~_HAS_CONFIG)
        send(self.server, request, flags, payload, descriptors)
        return True

    def from_server(self) -> bool:
        message = receive(self.server)
        if message is None:
            return False
        request, flags, payload, descriptors = message
        if request == _GET_FEATURES:
            payload = struct.pack("<Q", struct.unpack("<Q", payload)[0] | _HAS_CONFIG)
        send(self.kernel, request, flags, payload, descriptors)
        return True


class Client:
    """One who has something to do inside, and the session that he has there."""

    def __init__(self, peer: socket.socket, session: int):
        self.peer, self.session = peer, session
        self.reader, self.waiting = Reader(), bytearray()
        peer.setblocking(False)


class Relay:
    """`kernel` and `clients` listen; `orders`: a pipe of the first process, a byte of which asks the guest to
    shut down."""

    def __init__(
        self,
        *,
        kernel: socket.socket,
        server: socket.socket,
        line: socket.socket,
        clients: socket.socket,
        orders: int,
    ):
        self._listeners = {"kernel": kernel, "clients": clients}
        self._server, self._line, self._orders = server, line, orders
        self._disk: Disk | None = None
        self._clients: dict[int, Client] = {}
        self._last = 0
        self._is_there = False
        """The agent said that it is."""
        self._said = Line(TO_GUEST)
        line.setblocking(False)

    def run(self) -> None:
        """Until kernel or disk server have gone."""
        while True:
            with selectors.DefaultSelector() as selector:
                self._watch(selector)
                ready = selector.select()
            for key, events in ready:
                if not self._serve(key.data, events):
                    return

    def _watch(self, selector: selectors.BaseSelector) -> None:
        for name, listener in self._listeners.items():
            selector.register(listener, selectors.EVENT_READ, name)
        waits = selectors.EVENT_WRITE if self._is_there and self._said.piece() else 0
        selector.register(self._line, selectors.EVENT_READ | waits, "line")
        selector.register(self._orders, selectors.EVENT_READ, "orders")
        if self._disk is not None:
            selector.register(self._disk.kernel, selectors.EVENT_READ, "disk")
            selector.register(self._server, selectors.EVENT_READ, "answers")
        for client in self._clients.values():
            reads = selectors.EVENT_READ if self._said.waiting < _MOST_WAITING else 0
            writes = selectors.EVENT_WRITE if client.waiting else 0
            if reads | writes:
                selector.register(client.peer, reads | writes, client)

    def _serve(self, what: object, events: int) -> bool:
        if what == "kernel":
            peer, _ = self._listeners["kernel"].accept()
            if self._disk is not None:
                peer.close()
                return True
            self._disk = Disk(peer, self._server)
        elif what in ("disk", "answers"):
            assert self._disk is not None
            try:
                return self._disk.from_kernel() if what == "disk" else self._disk.from_server()
            except (OSError, struct.error):  # one of them has gone, or talks nonsense
                return False
        elif what == "clients":
            peer, _ = self._listeners["clients"].accept()
            self._last += 1
            self._clients[self._last] = Client(peer, self._last)
        elif what == "orders":
            if os.read(self._orders, 64):
                self._said.queue(frame(Kind.HALT, 0))
        elif what == "line":
            self._serve_line(events)
        elif isinstance(what, Client):
            self._serve_client(what, events)
        return True

    def _serve_line(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            with suppress(OSError):
                self._said.wrote(self._line.send(self._said.piece()))
        if events & selectors.EVENT_READ:
            with suppress(OSError):
                for kind, session, payload in self._said.feed(self._line.recv(65_536)):
                    self._from_agent(kind, session, payload)

    def _from_agent(self, kind: Kind, session: int, payload: bytes) -> None:
        if kind is Kind.HELLO:
            self._is_there = True
            return
        client = self._clients.get(session)
        if client is None or kind not in (Kind.OUTPUT, Kind.ERROR, Kind.EXIT):
            return
        client.waiting += frame(kind, 0, payload)
        if len(client.waiting) > _MOST_WAITING:
            self._leave(client)

    def _serve_client(self, client: Client, events: int) -> None:
        if client.session not in self._clients:
            return
        try:
            if events & selectors.EVENT_WRITE:
                del client.waiting[: client.peer.send(client.waiting[:65_536])]
            if events & selectors.EVENT_READ:
                data = client.peer.recv(65_536)
                if not data:
                    self._leave(client)
                    return
                for kind, _, payload in client.reader.feed(data):
                    if kind in (Kind.START, Kind.INPUT, Kind.SIZE, Kind.DROP):
                        self._said.queue(frame(kind, client.session, payload))
        except BlockingIOError:
            return
        except OSError:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        del self._clients[client.session]
        client.peer.close()
        self._said.queue(frame(Kind.DROP, client.session))
