"""Where the real servers of the tests come from.

In this order: an address in the environment, a program of this machine, Docker.
`JIESHUI_TEST_SERVERS=docker` leaves only the last.
"""

import functools
import gc
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import closing

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from jieshui.broker import free_port


def only_docker() -> bool:
    return os.environ.get("JIESHUI_TEST_SERVERS") == "docker"


def find_address(variable: str) -> str | None:
    """The address that the environment gives."""
    return None if only_docker() else os.environ.get(variable) or None


def _connect_to_docker() -> docker.DockerClient | None:
    try:
        return docker.from_env()
    except DockerException:
        pass
    # The library left its socket to the garbage collector, whose warning would fail some later
    # test: it is let go here.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()
    return None


def find_docker() -> str | None:
    """The version of the Docker engine that answers."""
    engine = _connect_to_docker()
    if engine is None:
        return None
    with closing(engine):
        return str(engine.version()["Version"])


@functools.cache
def _why_no_image(image: str) -> str | None:
    engine = _connect_to_docker()
    if engine is None:
        return "no Docker engine answers"
    name = testcontainers_config.hub_image_name_prefix + image
    with closing(engine):
        try:
            engine.images.get(name)
        except ImageNotFound:
            try:
                engine.images.pull(name)
            except DockerException as error:
                return f"Docker can't get {name} ({error})"
    return None


def need_image(
    image: str, missing: Callable[[str], object], *, variable: str, program: str
) -> None:
    """Say what is missing of the three places unless Docker has the image or can get it."""
    if problem := _why_no_image(image):
        elsewhere = (
            "JIESHUI_TEST_SERVERS=docker"
            if only_docker()
            else f"{variable} is not set, {program} is not on this machine (make servers)"
        )
        missing(f"{elsewhere}, and {problem}")


class Container:
    """A container of an official image, on a port of this machine that survives a restart."""

    def __init__(
        self,
        image: str,
        port: int,
        *,
        command: str | None = None,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self._container = DockerContainer(image, command=command, env=dict(environment or {}))
        self._container.with_bind_ports(port, self.port)
        for path, text in (files or {}).items():
            self._container.with_copy_into_container(text.encode(), path)
        self._made = False
        self.host = ""
        """Known once it has been started."""

    def start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
            self.host = self._container.get_container_host_ip()

    def stop(self) -> None:
        """End its process; what it has written stays."""
        if self._made:
            self._container.get_wrapped_container().stop()

    def remove(self) -> None:
        self._container.stop()
        self._made = False
