"""Who asks: every query takes a viewer, so that no page shows what an API call may not."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The rights of an account or key."""

    SUPPLIER = "supplier"
    UTILITY = "utility"
    BUREAU = "bureau"
    USER = "user"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody with a role and, for suppliers and users, the id of what is theirs.

    `name` is what the audit log records.
    """

    name: str
    role: Role
    scope: str | None = None

    def __post_init__(self) -> None:
        """Refuse a supplier or user who belongs to nobody."""
        if self.role in {Role.SUPPLIER, Role.USER} and not self.scope:
            raise ValueError(f"a viewer with role {self.role} needs a scope")

    @property
    def sees_all(self) -> bool:
        """Whether rows are unrestricted: water group, water bureau, administrator."""
        return self.role in {Role.UTILITY, Role.BUREAU, Role.ADMINISTRATOR}

    @property
    def may_acknowledge(self) -> bool:
        """Whether the viewer may acknowledge alerts."""
        return self.sees_all

    @property
    def may_edit(self) -> bool:
        """Whether the viewer may edit readings, decide conflicts and enter meter changes."""
        return self.sees_all

    @property
    def may_administer(self) -> bool:
        """Whether the viewer may manage accounts, keys and the registry."""
        return self.role is Role.ADMINISTRATOR
