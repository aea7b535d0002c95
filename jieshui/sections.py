"""What every table of the configuration is made of."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Section(BaseModel):
    """A table of the file; a name that it doesn't know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"no time zone is called {value!r}; take a name like Asia/Shanghai"
        ) from None
    return value


ZoneName = Annotated[str, AfterValidator(_known_zone)]
