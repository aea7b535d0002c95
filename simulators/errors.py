"""The error of this room."""


class CityError(ValueError):
    """The city that was asked for can't be built or gone on with; the message says why."""
