"""Where the real servers of the tests come from.

In this order: an address in the environment, a program of this machine, Docker.
`JIESHUI_TEST_SERVERS=docker` leaves only the last.
"""

import functools
import os
from collections.abc import Mapping

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from jieshui.broker import free_port


def only_docker() -> bool:
    return os.environ.get("JIESHUI_TEST_SERVERS") == "docker"


def find_address(variable: str) -> str | None:
    """The address that the environment gives."""
    return None if only_docker() else os.environ.get(variable) or None


@functools.cache
def find_docker() -> str | None:
    """The version of the Docker engine that answers."""
    try:
        engine = docker.from_env(timeout=5)
    except DockerException:
        return None
    try:
        return str(engine.version()["Version"])
    except DockerException:
        return None
    finally:
        engine.close()


def say_missing(name: str, variable: str, program: str) -> str:
    """What is missing of the three places, and how to get one."""
    if only_docker():
        return f"no {name}: JIESHUI_TEST_SERVERS=docker, and no Docker engine answers"
    return (
        f"no {name}: {variable} is not set, {program} is not on this machine (make servers), "
        "and no Docker engine answers"
    )


class Container:
    """A container of an official image, on a port of this machine that survives a restart."""

    def __init__(
        self,
        image: str,
        port: int,
        *,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self._container = DockerContainer(image, env=dict(environment or {}))
        self._container.with_bind_ports(port, self.port)
        for path, text in (files or {}).items():
            self._container.with_copy_into_container(text.encode(), path)
        self._made = False

    @property
    def host(self) -> str:
        return self._container.get_container_host_ip()

    def start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True

    def stop(self) -> None:
        """End its process; what it has written stays."""
        if self._made:
            self._container.get_wrapped_container().stop()

    def remove(self) -> None:
        self._container.stop()
        self._made = False
