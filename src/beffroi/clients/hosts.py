"""Which hosts may be called. Judged by the address really connected to, not by the name alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/32",
        "169.254.0.0/16",  # link-local; cloud metadata lives at 169.254.169.254
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "192.0.0.192/32",  # metadata of Oracle Cloud
        "224.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fd00:ec2::254/128",  # metadata of AWS over IPv6
        "ff00::/8",
    )
)
"""Denied unless allowed: nothing that a scheduler is meant to call lives there."""


@dataclass(frozen=True)
class HostList:
    """Names (with `*` as wildcard) and networks."""

    names: frozenset[str] = field(default_factory=frozenset)
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> "HostList":
        names, networks = set(), []
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                names.add(entry.lower().rstrip("."))
        return cls(frozenset(names), tuple(networks))

    def holds(self, host: str, address: Address) -> bool:
        return self.names_hold(host.lower().rstrip(".")) or any(
            address in network for network in self.networks
        )

    def names_hold(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.names)


@dataclass(frozen=True)
class HostRules:
    """What may be called: `allow` wins over `deny` and over the addresses denied by themselves."""

    allow: HostList = field(default_factory=HostList)
    deny: HostList = field(default_factory=HostList)

    def refuses_by_name(self, host: str) -> bool:
        """Whether the name alone is enough to refuse: then it is not even resolved."""
        name = host.lower().rstrip(".")
        return self.deny.names_hold(name) and not self.allow.names_hold(name) and not self.allow.networks

    def permits(self, host: str, address: str) -> bool:
        """Whether `host`, resolved to this IP address, may be called."""
        where = ip_address(address.split("%")[0])
        if isinstance(where, IPv6Address) and where.ipv4_mapped is not None:
            where = where.ipv4_mapped
        if self.allow.holds(host, where):
            return True
        return not self.deny.holds(host, where) and not any(where in network for network in NEVER)
