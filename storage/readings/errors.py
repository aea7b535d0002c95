"""What can go wrong with the embedded stores."""


class StoreError(Exception):
    """The store was asked for something that can't be, or its files are not ours."""


class StoreUnavailableError(OSError):
    """The disk or a lock stood in the way: nothing was changed, the caller may try again.

    An `OSError`, so that rooms which can't import storage know an outage when they see one.
    """
