"""The fixed addresses of a routed link: nothing on it is learnt, so nothing on it can be spoofed."""

from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

#: Gateway inside every environment, answered by the host on each link (as OpenVZ's venet, Calico and
#: others do): link-local, so it needs no address of anybody's network.
GATEWAY4 = IPv4Address("169.254.1.1")
GATEWAY6 = IPv6Address("fe80::1")
#: Host side of every link: the same everywhere, since no two links share a segment.
HOST_MAC = "02:00:00:00:00:01"
#: Where clouds tell a machine of itself, its keys too, beyond link-local and `fd00:ec2::254`: Azure (a resolver
#: as well), Alibaba, Oracle's old one; Google, Scaleway, Oracle.
CLOUD4 = tuple(map(IPv4Address, ("168.63.129.16", "100.100.100.200", "192.0.0.192")))
CLOUD6 = tuple(map(IPv6Address, ("fd20:ce::254", "fd00:42::42", "fd00:c1::a9fe:a9fe")))


def interface_name(number: int = 0) -> str:
    """What an interface is called inside."""
    return f"eth{number}"


def guest_mac(environment_id: UUID) -> str:
    """Locally administered, unicast, from 46 bits of the id (IEEE 802: bit 1 set, bit 0 clear)."""
    raw = bytearray(environment_id.bytes[:6])
    raw[0] = raw[0] & 0xFC | 0x02
    if bytes(raw) == bytes.fromhex("020000000001"):
        raw[5] = 2
    return ":".join(f"{byte:02x}" for byte in raw)


def guest_link_local(environment_id: UUID) -> IPv6Address:
    """fe80:: address that the guest's kernel makes from its MAC (RFC 4291, appendix A)."""
    mac = bytes.fromhex(guest_mac(environment_id).replace(":", ""))
    suffix = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
    return IPv6Address(bytes.fromhex("fe80000000000000") + suffix)


def tenant_marks(tenant_id: UUID) -> tuple[int, int]:
    """Two packet marks by which two environments are seen to be of one tenant.

    A mark has 32 bits; both together hold the last 64 of the id, 62 of them random (RFC 9562), so that
    two tenants don't share them by chance.
    """
    return int.from_bytes(tenant_id.bytes[12:], "big"), int.from_bytes(tenant_id.bytes[8:12], "big")
