"""A name server of the tests' own: it says what it was told, over real UDP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

#: By name and type.
Records = dict[tuple[str, str], list[str]]


@contextmanager
def name_server(records: Records) -> Iterator[str]:
    """Its `ADDRESS:PORT`; what is in `records` at the time of a question is the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(server, records), daemon=True)
        thread.start()
        host, port = server.getsockname()
        yield f"{host}:{port}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", (host, port))
        thread.join(10)


def _serve(server: socket.socket, records: Records) -> None:
    while True:
        data, client = server.recvfrom(4096)
        if data == b"end":
            return
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        one = question.question[0]
        name, kind = one.name.to_text().removesuffix(".").lower(), one.rdtype.name
        values = records.get((name, kind))
        if values:
            quoted = [f'"{value}"' if kind == "TXT" else value for value in values]
            answer.answer.append(dns.rrset.from_text(one.name, 60, "IN", kind, *quoted))
        elif not any(known == name for known, _kind in records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        server.sendto(answer.to_wire(), client)
