"""A readings store of which a test changes what a load does."""

from contextlib import contextmanager


class WrappedStore:
    """The store itself, but for its loads: a test overrides `wrap`."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)

    def wrap(self, load):
        """What a load is to be; `load` opens the real one."""
        return load()

    def load(self):
        return self.wrap(self.store.load)

    @contextmanager
    def loading(self):
        with self.store.loading() as loading:
            yield _Loading(loading, self.wrap)


class _Loading:
    def __init__(self, loading, wrap):
        self.begin_readings = loading.begin_readings
        self.load = lambda: wrap(loading.load)
