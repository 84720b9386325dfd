"""Who does something, and what they may do: the values that all rooms share."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from beffroi.core.errors import ForbiddenError


class Role(StrEnum):
    """`viewer` reads; `operator` changes jobs, runs and schedules; `admin` everything."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class Means(StrEnum):
    """How the caller is known. `open`: nobody was asked; `command_line`: who can read the database itself."""

    OPEN = "open"
    COMMAND_LINE = "command_line"
    PASSWORD = "password"
    OIDC = "oidc"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from. `areas`: what a token is limited to; None: everything its role allows."""

    name: str
    role: Role
    means: Means
    account_id: int | None = None
    areas: frozenset[str] | None = None

    @property
    def is_known(self) -> bool:
        return self.account_id is not None

    def check(self, role: Role, area: str) -> None:
        """Raise ForbiddenError unless the caller may do what needs this role, in this area."""
        if not self.role.includes(role):
            raise ForbiddenError(f"This needs the role {role}; yours is {self.role}.")
        if self.areas is not None and area not in self.areas:
            raise ForbiddenError(f"The token is limited to {', '.join(sorted(self.areas))}, not {area}.")


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a request shows of its sender."""

    address: str
    agent: str
    session_key: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """A change that was made, as the audit keeps it."""

    at: datetime
    caller: Caller | None
    address: str
    action: str
    subject: str
    changes: Collection[dict[str, Any]]
