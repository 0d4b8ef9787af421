"""What carries commands to the agent of an own kernel: frames on a line that others may write to, and the
relay."""

import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.sandboxes.own.inside import launch, relay
from runtime.sandboxes.own.inside.frames import (
    FROM_GUEST,
    LONGEST,
    TO_GUEST,
    Kind,
    Line,
    Reader,
    document,
    frame,
)
from runtime.sandboxes.own.panic import panic_in


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_frames_are_found_in_any_pieces_and_between_what_others_wrote(size: int) -> None:
    data = b"noise\xf5" + frame(Kind.START, 7, b"x" * 300) + b"\xf5W\xff" + frame(Kind.EXIT, 7, b"0") + b"more"
    reader = Reader()
    found = [one for piece in pieces(data, size) for one in reader.feed(piece)]
    assert found[0] == (Kind.START, 7, b"x" * 300)


def test_a_length_that_nobody_may_have_is_passed_over() -> None:
    bad = struct.pack(">2sBII", b"\xf5W", Kind.OUTPUT, 1, LONGEST + 1)
    assert list(Reader().feed(bad + frame(Kind.EXIT, 1, b"3"))) == [(Kind.EXIT, 1, b"3")]


def test_a_line_sends_no_more_than_the_other_end_took() -> None:
    """The guest's driver has room for 4 KiB: once more came, it hears nothing any more."""
    one, other = Line(TO_GUEST), Line(FROM_GUEST)
    one.queue(frame(Kind.INPUT, 1, b"x" * 100_000))
    on_its_way = b""
    while piece := one.piece():
        on_its_way += piece
        one.wrote(len(piece))
    assert len(on_its_way) < 4096 - 1024
    found: list[tuple[Kind, int, bytes]] = []
    for _ in range(200):
        found += other.feed(on_its_way)
        on_its_way = other.piece()
        other.wrote(len(on_its_way))
        assert list(one.feed(on_its_way)) == []
        on_its_way = b""
        while piece := one.piece():
            on_its_way += piece
            one.wrote(len(piece))
    assert found == [(Kind.INPUT, 1, b"x" * 100_000)]


def test_both_ends_talk_at_once() -> None:
    """Neither waits for the other in the middle of a long frame."""
    ends, data = (Line(TO_GUEST), Line(FROM_GUEST)), os.urandom(50_000)
    for end in ends:
        end.queue(frame(Kind.OUTPUT, 1, data))
    found: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(400):
        for number in (0, 1):
            piece = ends[number].piece()
            ends[number].wrote(len(piece))
            found[number].extend(payload for _, _, payload in ends[1 - number].feed(piece))
    assert found == ([data], [data])


@contextmanager
def running_relay(place: Path) -> Iterator[tuple[socket.socket, socket.socket, socket.socket, Path]]:
    """Kernel's end and disk server's end of the disk, the guest's end of the line, and where clients
    connect."""
    listeners = []
    for name in ("kernel", "clients"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(place / name))
        listener.listen()
        listeners.append(listener)
    server, servers_end = socket.socketpair()
    line, guests_end = socket.socketpair()
    orders, order = os.pipe()
    one = relay.Relay(kernel=listeners[0], server=server, line=line, clients=listeners[1], orders=orders)
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    kernel = socket.socket(socket.AF_UNIX)
    kernel.connect(str(place / "kernel"))
    for end in (kernel, servers_end, guests_end):
        end.settimeout(20)
    try:
        yield kernel, servers_end, guests_end, place / "clients"
    finally:
        kernel.close()
        thread.join(20)
        for end in (*listeners, server, servers_end, line, guests_end):
            end.close()
        os.close(orders)
        os.close(order)


def test_the_disks_configuration_is_answered_and_its_table_cut_to_what_it_holds(tmp_path: Path) -> None:
    with running_relay(tmp_path) as (kernel, server, _, _):
        for size in (1, 40):
            body = struct.pack("<III", 0, size, 0) + bytes(size)
            relay.send(kernel, relay._GET_CONFIG, 1, body, [])
            answer = relay.receive(kernel)
            assert answer is not None
            assert answer[2][12:] == (b"root".ljust(36, b"\0") + struct.pack("<I", 1))[:size]
        table = struct.pack("<II", 1, 0) + bytes(2 * 32)
        with (tmp_path / "memory").open("w") as memory:
            relay.send(kernel, relay._SET_MEMORY, 1, table, [os.dup(memory.fileno())])
            seen = relay.receive(server)
        assert seen is not None
        assert (len(seen[2]), len(seen[3])) == (8 + 32, 1)
        os.close(seen[3][0])
        relay.send(server, relay._GET_FEATURES, 5, struct.pack("<Q", 0), [])
        answer = relay.receive(kernel)
        assert answer is not None
        assert struct.unpack("<Q", answer[2])[0] & relay._HAS_CONFIG


def test_what_is_asked_before_the_agent_is_there_waits_for_it(tmp_path: Path) -> None:
    with running_relay(tmp_path) as (_, _, guest, clients), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(clients))
        client.sendall(document(Kind.START, 0, {"args": ["true"]}))
        agent = Line(FROM_GUEST)
        agent.queue(frame(Kind.HELLO, 0))
        guest.sendall(agent.piece())
        agent.wrote(len(agent.piece()))
        asked: list[tuple[Kind, int, bytes]] = []
        while not asked:
            asked += agent.feed(guest.recv(4096))
        kind, session, payload = asked[0]
        assert (kind, json.loads(payload)) == (Kind.START, {"args": ["true"]})
        agent.queue(document(Kind.EXIT, session + 1, 1) + document(Kind.EXIT, session, 7))
        while piece := agent.piece():
            guest.sendall(piece)
            agent.wrote(len(piece))
        reader, said = Reader(), list[tuple[Kind, int, bytes]]()
        while not said:
            said += reader.feed(client.recv(4096))
        assert said == [(Kind.EXIT, 0, b"7")], "its own, and nobody else's"


@pytest.mark.parametrize(("code", "means"), [(0, 130), (launch.EXIT_AGAIN, 129), (-6, 134), (1, 1), (-9, 137)])
def test_the_end_of_a_kernel_says_what_it_was(code: int, means: int) -> None:
    assert launch.meaning(code) == means


def test_the_reason_of_a_panic_is_the_logs_last_in_plain_letters(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert panic_in(log) == ""
    log.write_bytes(
        b"t stdout F Kernel panic - not syncing: first\r\nt Kernel panic - not syncing: \x1b[31mlast\xff\r\nx"
    )
    assert panic_in(log) == "[31mlast\N{REPLACEMENT CHARACTER}"
    log.write_bytes(b"Kernel panic - not syncing: " + b"y" * 500 + b"\r\n")
    assert panic_in(log) == "y" * 200
