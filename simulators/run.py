"""Stream a city: history first, as fast as the receipts come, then as the clock goes."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from simulators.city import City
from simulators.deliveries import make_deliveries
from simulators.errors import CityError
from simulators.meters import HOUR_S, QUARTER_S
from simulators.plants import DAY_S
from simulators.publish import BrokerAddress, Courier
from water.clock import Clock

log = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Called with (readings receipted, readings there are until now or the end)."""

RESEND_AFTER_S = 30.0
_SAVE_EVERY_DAYS = 5
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class SupplierCounts:
    """What one supplier sent in this run: `messages` and `readings` without what was resent."""

    messages: int
    readings: int
    resent: int


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What was sent in this run, together and by supplier."""

    messages: int
    readings: int
    resent: int
    by_supplier: Mapping[str, SupplierCounts]


def stream(
    city: City,
    broker: BrokerAddress,
    *,
    clock: Clock,
    state_path: Path,
    stop: threading.Event,
    progress: Progress | None = None,
    finish_at: datetime | None = None,
    resend_after_s: float = RESEND_AFTER_S,
) -> StreamCounts:
    """Publish every reading that lies before the clock's now, then go on as the clock goes.

    Returns when `stop` is set, or when everything up to `finish_at` (or the city's horizon) is
    receipted. A second call with the same `state_path` goes on from what was receipted.

    Raises:
        CityError: the state was left by another city.
    """
    state = StreamState.open(state_path, city)
    end = int(min(finish_at or city.horizon, city.horizon).timestamp())
    with ExitStack() as stack:
        couriers = {
            supplier.id: stack.enter_context(
                Courier(supplier.id, broker, resend_after_s=resend_after_s)
            )
            for supplier in city.suppliers
        }
        run = _Run(city, couriers, state, clock, stop, progress, end)
        run.go()
        state.save(couriers)
    return _count(couriers)


class StreamState:
    """How far each supplier is fully receipted: a small JSON file, replaced atomically.

    Epoch seconds a supplier; before the first reading stands `history_from` − 1 s.
    """

    def __init__(self, path: Path, city: City, upto: dict[str, int]) -> None:
        self.upto = upto
        self._path = path
        self._city = {
            "seed": city.seed,
            "until": city.until.isoformat(),
            "meters": len(city.meters),
        }

    @classmethod
    def open(cls, path: Path, city: City) -> "StreamState":
        """Read the state, or begin one."""
        begin = int(city.history_from.timestamp()) - 1
        state = cls(path, city, {supplier.id: begin for supplier in city.suppliers})
        if path.exists():
            kept = json.loads(path.read_text("utf-8"))
            if kept["city"] != state._city:
                raise CityError(
                    f"{path} was left by another city ({kept['city']}); remove it or use its seed"
                )
            state.upto.update(kept["upto"])
        return state

    def save(self, couriers: Mapping[str, Courier]) -> None:
        """Note how far the couriers are receipted; nothing is written when nothing moved."""
        before = dict(self.upto)
        for supplier_id, courier in couriers.items():
            if (upto := courier.receipted_upto()) is not None:
                self.upto[supplier_id] = upto
        if self.upto == before and self._path.exists():
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".part")
        aside.write_text(json.dumps({"city": self._city, "upto": self.upto}), "utf-8")
        aside.replace(self._path)


@dataclass
class _Run:
    city: City
    couriers: Mapping[str, Courier]
    state: StreamState
    clock: Clock
    stop: threading.Event
    progress: Progress | None
    end: int

    def go(self) -> None:
        """Send until the end; leave when everything is receipted or when stopped."""
        begun = dict(self.state.upto)
        sent = min(begun.values())
        self._total = sum(
            count_readings(self.city, supplier_id, upto, min(self._now(), self.end))
            for supplier_id, upto in begun.items()
        )
        while not self.stop.is_set():
            upto = min(self._now() // QUARTER_S * QUARTER_S, self.end)
            if upto > sent:
                sent = self._send(sent, upto, begun)
            self._look_after()
            if sent >= self.end and not any(c.unreceipted for c in self.couriers.values()):
                return
            next(iter(self.couriers.values())).wait_for_receipt(_TICK_S)

    def _send(self, after: int, upto: int, begun: Mapping[str, int]) -> int:
        """Send what is due after one instant up to another; how far that came."""
        for number, (due, deliveries) in enumerate(make_deliveries(self.city, after, upto)):
            for delivery in deliveries:
                if due <= begun[delivery.supplier_id]:
                    continue
                if not self.couriers[delivery.supplier_id].send(delivery, due, self.stop):
                    return after
            for courier in self.couriers.values():
                courier.close_due(due)
            after = due
            self._look_after(save=number % _SAVE_EVERY_DAYS == 0)
            if self.stop.is_set():
                break
        return after

    def _look_after(self, *, save: bool = True) -> None:
        for courier in self.couriers.values():
            courier.resend_overdue()
        if save:
            self.state.save(self.couriers)
        if self.progress:
            receipted = sum(courier.receipted_readings for courier in self.couriers.values())
            self.progress(min(receipted, self._total), self._total)

    def _now(self) -> int:
        return int(self.clock.now().timestamp())


def count_readings(city: City, supplier_id: str, after: int, upto: int) -> int:
    """How many readings of a supplier are due between two instants, late ones left out."""
    quarters, hours = (upto // step - after // step for step in (QUARTER_S, HOUR_S))
    start = city.days.start
    days = (upto - start) // DAY_S - (after - start) // DAY_S
    from_the_first = after < city.history_from.timestamp()
    total = 0
    for row in city.rows_of[supplier_id]:
        virtual = city.meters[row]
        if virtual.meter.interval_s == QUARTER_S:
            total += quarters
        elif virtual.supplier.dialect == "wmbusmeters":
            total += hours
        else:
            total += (days - from_the_first) * 24 + from_the_first
    return total


def _count(couriers: Mapping[str, Courier]) -> StreamCounts:
    by_supplier = {
        supplier_id: SupplierCounts(courier.messages, courier.readings, courier.resent)
        for supplier_id, courier in couriers.items()
    }
    return StreamCounts(
        messages=sum(counts.messages for counts in by_supplier.values()),
        readings=sum(counts.readings for counts in by_supplier.values()),
        resent=sum(counts.resent for counts in by_supplier.values()),
        by_supplier=by_supplier,
    )
