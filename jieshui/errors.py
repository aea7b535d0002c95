"""What a person is told when something can't be done."""


class JieshuiError(Exception):
    """One sentence that says what is wrong and what to do; the command line prints it and exits."""


def sentences() -> tuple[type[Exception], ...]:
    """The errors of all rooms whose message is a sentence for whoever typed the command.

    Imported here, because `jieshui --help` needs none of these rooms.
    """
    from sqlalchemy.exc import OperationalError

    from alerts.senders import DeliveryError
    from ingest.errors import IngestError
    from registry.report import RegistryError
    from simulators.errors import CityError
    from storage.errors import StoreError, StoreUnavailableError

    return (
        JieshuiError, RegistryError, IngestError, DeliveryError, CityError, StoreError,
        StoreUnavailableError, OperationalError,
    )  # fmt: skip
