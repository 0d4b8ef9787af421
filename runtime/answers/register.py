"""The listeners that there are, in both processes."""

import json
import os
import socket
import struct
from contextlib import suppress

from runtime.answers.notify import Listener, Slots

#: What crun says of whom a listener is of (OCI runtime-spec, "The Container Process State").
_STATE_BYTES = 64 * 2**10
#: Of one environment: its init's, and one for each command that was begun in it and of which something is left.
MOST_OF_ONE = 512
_NUMBER = struct.Struct("<I")


class Register:
    """`door`: where the OCI runtime brings the listener of each filter that it makes."""

    def __init__(self, door: socket.socket, slots: Slots):
        self.door = door
        self.listeners: dict[int, Listener] = {}
        """By descriptor."""
        self.guests: dict[int, socket.socket] = {}
        self._slots = slots
        self._taken: set[int] = set()

    def let_in(self) -> socket.socket:
        """Who came to the door: he says who he is when he has made his filter."""
        guest, _ = self.door.accept()
        guest.setblocking(False)
        self.guests[guest.fileno()] = guest
        return guest

    def hear_out(self, fd: int) -> Listener | None:
        """What a guest brought, who leaves then; None where it isn't understood, or isn't held."""
        fds: list[int] = []
        with self.guests.pop(fd) as guest, suppress(OSError, ValueError, KeyError, TypeError):
            said, fds, _, _ = socket.recv_fds(guest, _STATE_BYTES, 2)
            of = str(json.loads(said)["metadata"])
            slot = next((one for one in range(self._slots.most) if one not in self._taken), None)
            of_it = sum(1 for one in self.listeners.values() if one.of == of)
            if len(fds) == 1 and slot is not None and of_it < MOST_OF_ONE:
                return self._put(fds[0], slot, of)
        for one in fds:
            os.close(one)
        return None

    def _put(self, fd: int, slot: int, of: str) -> Listener:
        self._taken.add(slot)
        listener = self.listeners[fd] = Listener(fd, slot, of, self._slots)
        return listener

    def give(self, to: socket.socket, one: Listener) -> None:
        socket.send_fds(to, [_NUMBER.pack(one.slot) + one.of.encode()], [one.fd])

    def take(self, giver: socket.socket) -> Listener | None:
        """What was given by the other process; None when that has ended."""
        said, fds, _, _ = socket.recv_fds(giver, 4096, 1)
        if not said or not fds:
            return None
        return self._put(fds[0], _NUMBER.unpack_from(said)[0], said[_NUMBER.size :].decode())

    def forget(self, fd: int) -> None:
        """One whose filter nobody has any more."""
        one = self.listeners.pop(fd)
        one.close()
        self._taken.discard(one.slot)
