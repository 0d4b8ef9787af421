"""Ethernet frames by hand: just enough of each header to try what a hostile guest would send."""

import struct
from ipaddress import IPv4Address, IPv6Address

ARP, IP4, IP6 = 0x0806, 0x0800, 0x86DD
ICMP, IGMP, TCP, UDP, SIX_IN_FOUR, ICMP6 = 1, 2, 6, 17, 41, 58
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60
BROADCAST = "ff:ff:ff:ff:ff:ff"


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def multicast_mac(address: str) -> str:
    """RFC 1112 and RFC 2464."""
    if ":" in address:
        return "33:33:" + IPv6Address(address).packed[12:].hex(":")
    low = IPv4Address(address).packed
    return "01:00:5e:" + bytes([low[1] & 0x7F, low[2], low[3]]).hex(":")


def ether(source: str, to: str, kind: int, payload: bytes) -> bytes:
    return mac(to) + mac(source) + struct.pack("!H", kind) + payload


def arp(operation: int, sender_mac: str, sender: str, target: str, *, hardware: int = 1) -> bytes:
    return (
        struct.pack("!HHBBH", hardware, IP4, 6, 4, operation)
        + mac(sender_mac)
        + IPv4Address(sender).packed
        + bytes(6)
        + IPv4Address(target).packed
    )


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(source: str, to: str, protocol: int, payload: bytes) -> bytes:
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol)
    ends = IPv4Address(source).packed + IPv4Address(to).packed
    return start + struct.pack("!H", checksum(start + b"\0\0" + ends)) + ends + payload


def ip6(source: str, to: str, following: int, payload: bytes, *, hops: int = 255) -> bytes:
    return (
        struct.pack("!IHBB", 0x60000000, len(payload), following, hops)
        + IPv6Address(source).packed
        + IPv6Address(to).packed
        + payload
    )


def udp(source_port: int, port: int, data: bytes = b"x") -> bytes:
    """Without a checksum, as IPv4 allows; in IPv6 only for frames whose delivery doesn't matter."""
    return struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data


def icmp6(source: str, to: str, kind: int, body: bytes, code: int = 0) -> bytes:
    message = struct.pack("!BBH", kind, code, 0) + body
    pseudo = IPv6Address(source).packed + IPv6Address(to).packed + struct.pack("!II", len(message), ICMP6)
    return message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]


def icmp6_packet(source: str, to: str, kind: int, body: bytes, *, hops: int = 255) -> bytes:
    return ip6(source, to, ICMP6, icmp6(source, to, kind, body), hops=hops)


def router_advertisement(router_mac: str) -> bytes:
    """Lifetime half an hour, MTU 1280, a prefix for autoconfiguration (RFC 4861)."""
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + IPv6Address("2001:db8:bad::").packed
    mtu = struct.pack("!BBHI", 5, 1, 0, 1280)
    return struct.pack("!BBHII", 64, 0, 1800, 0, 0) + b"\x01\x01" + mac(router_mac) + mtu + prefix


def solicitation(target: str, sender_mac: str | None) -> bytes:
    option = b"\x01\x01" + mac(sender_mac) if sender_mac else b""
    return bytes(4) + IPv6Address(target).packed + option


def advertisement(target: str, target_mac: str) -> bytes:
    """Router and override flags set."""
    return struct.pack("!I", 0xA0000000) + IPv6Address(target).packed + b"\x02\x01" + mac(target_mac)


def redirect(target: str, destination: str) -> bytes:
    return bytes(4) + IPv6Address(target).packed + IPv6Address(destination).packed


def fragment(following: int, payload: bytes, *, offset: int = 0, more: bool = True) -> bytes:
    return struct.pack("!BBHI", following, 0, offset << 3 | more, 7) + payload


def options(following: int, payload: bytes) -> bytes:
    """Hop-by-hop or destination options with padding only."""
    return struct.pack("!BB", following, 0) + b"\x01\x04\0\0\0\0" + payload
