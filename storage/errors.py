"""What can go wrong with a store."""


class StoreError(Exception):
    """The store was asked for something that can't be, or is not set up as it must be."""


class StoreUnavailableError(OSError):
    """Disk, lock, network or server stood in the way: nothing was changed, try again.

    An `OSError`, so that rooms which can't import storage know an outage when they see one.
    """
