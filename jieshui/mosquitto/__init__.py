"""Mosquitto as a city runs it: TLS, a login a supplier, and what a login may do."""

from jieshui.mosquitto.folder import BrokerFolder, HandOver
from jieshui.mosquitto.reloading import NotReloadedError, reload_broker

__all__ = ["BrokerFolder", "HandOver", "NotReloadedError", "reload_broker"]
