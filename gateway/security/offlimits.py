"""Addresses that traffic must never go to: link-local, metadata, multicast and unspecified ones.

A private network (10.0.0.0/8 and the like) is what workers live in, and loopback too. What may not
be asked is what answers to any machine that happens to ask from here: the metadata services of
clouds hand out credentials.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

METADATA_HOSTS: Final = frozenset(
    {"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES: Final = frozenset(
    {"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"}
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host is; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def off_limits(address: IPv4Address | IPv6Address) -> bool:
    """Whether traffic must not go there, in whatever way an IPv4 address is wrapped."""
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        inner = inner or address.sixtofour
        if inner is not None:
            return off_limits(inner)
    special = address.is_link_local or address.is_multicast or address.is_unspecified
    return special or str(address).partition("%")[0] in _METADATA_ADDRESSES
