"""The tables of the configuration around MQTT: the broker, and what is agreed with suppliers."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from ingest.decoders.mapped import ISO, MILLISECONDS, SECONDS, JsonMapping, MappedQuantity
from ingest.decoders.pointers import Place, parse_place, parse_pointer
from ingest.decoders.tasmota import Counters
from ingest.decoders.units import UNITS, Unit
from ingest.decoders.wall_clock import check_time_format
from ingest.settings import is_topic_filter
from jieshui.sections import LOOPBACK, Section, ZoneName
from water.dialects import Dialect
from water.readings import QUANTITIES

ARRIVAL = "arrival"
"""What `at` of a mapping says when the time of arrival stands for the instant."""


def _known_dialect(value: str) -> str:
    if value not in set(Dialect):
        raise ValueError(f"no dialect is called {value!r}; there are {', '.join(Dialect)}")
    return value


def _proper_filter(value: str) -> str:
    if not is_topic_filter(value):
        raise ValueError(f"{value!r} is no topic filter of MQTT")
    return value


def _fraction(value: Any) -> Fraction:
    """A number above 0, also one like "1/1000"; exact, also where it has decimals."""
    try:
        fraction = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{value!r} is no number like 10, 0.5 or '1/1000'") from None
    if fraction <= 0:
        raise ValueError(f"{value!r} is not above 0")
    return fraction


def _pulse(value: Any) -> Fraction:
    """Litres; 0 says that a counter counts no water."""
    return Fraction(0) if type(value) is int and value == 0 else _fraction(value)


def _time_format(value: str) -> str:
    if value in {ISO, SECONDS, MILLISECONDS}:
        return value
    if "%" not in value:
        raise ValueError(f"{value!r}: iso, s, ms or a pattern like %d.%m.%Y %H:%M:%S")
    return check_time_format(value)


def _that_passes(parse: Callable[[str], object]) -> AfterValidator:
    """A validator that leaves a text as it is when it can be parsed."""

    def check(value: str) -> str:
        parse(value)
        return value

    return AfterValidator(check)


Filter = Annotated[str, AfterValidator(_proper_filter)]
PlaceText = Annotated[str, _that_passes(parse_place)]
PointerText = Annotated[str, _that_passes(parse_pointer)]
Size = Annotated[Fraction, PlainValidator(_fraction)]
PulseSize = Annotated[Fraction, PlainValidator(_pulse)]


class MqttSource(Section):
    """[[mqtt.sources]]: a platform that can't choose its topic."""

    filter: Filter
    dialect: Annotated[str, AfterValidator(_known_dialect)]
    supplier: str


class MqttTasmota(Section):
    """[[mqtt.tasmota]]: the pulse counters of a supplier, `{device}/{counter}` → litres a pulse."""

    supplier: str
    timezone: ZoneName
    litres_per_pulse: dict[Annotated[str, Field(pattern=r"^[^/+#]+/C[0-9]$")], PulseSize]

    def counters(self) -> Counters:
        """What the decoder needs."""
        return Counters(ZoneInfo(self.timezone), self.litres_per_pulse)


class JsonQuantity(Section):
    """A quantity of a mapping: the place of its number, `scale` times `unit`."""

    path: PlaceText
    unit: str
    scale: Size = Fraction(1)
    sentinels: tuple[float, ...] = ()

    def mapped(self) -> MappedQuantity:
        """What the decoder needs."""
        size = UNITS[self.unit].size * self.scale
        return MappedQuantity(parse_place(self.path), size, frozenset(self.sentinels))


def _require_unit(quantity: str, symbol: str) -> None:
    units = [name for name, unit in UNITS.items() if unit.quantity == quantity]
    if symbol not in units:
        raise ValueError(f"{symbol!r} is no unit of {quantity}; there are {', '.join(units)}")


def _in(quantity: str) -> AfterValidator:
    """A validator of the units of a quantity."""

    def check(value: JsonQuantity | None) -> JsonQuantity | None:
        if value is not None:
            _require_unit(quantity, value.unit)
        return value

    return AfterValidator(check)


class SparkplugMetric(Section):
    """What the numbers of a metric are: `scale` times `unit`."""

    quantity: Literal["register_m3", "flow_m3_h", "pressure_mpa", "level_m"]
    unit: str
    scale: Size = Fraction(1)

    @model_validator(mode="after")
    def _unit_of_its_quantity(self) -> Self:
        _require_unit(self.quantity, self.unit)
        return self


class MqttSparkplug(Section):
    """[[mqtt.sparkplug]]: a supplier's metrics, by the last level of their names."""

    supplier: str
    metrics: dict[Annotated[str, Field(pattern=r"^[^/]+$")], SparkplugMetric]

    def units(self) -> dict[str, Unit]:
        """What the decoder needs."""
        return {
            name: Unit(metric.quantity, UNITS[metric.unit].size * metric.scale)
            for name, metric in self.metrics.items()
        }


class MqttJson(Section):
    """[[mqtt.json]]: how to read the JSON of one kind of device (docs/dialects.md)."""

    supplier: str
    topic: Filter = "#"
    set_aside: tuple[Filter, ...] = ()
    readings: PointerText = ""
    address: PlaceText
    at: Annotated[str, _that_passes(lambda text: text == ARRIVAL or parse_place(text))]
    time_format: Annotated[str, AfterValidator(_time_format)] = ISO
    timezone: ZoneName | None = None
    clock: Literal["meter", "receiver"] = "meter"
    register_m3: Annotated[JsonQuantity | None, _in("register_m3")] = None
    flow_m3_h: Annotated[JsonQuantity | None, _in("flow_m3_h")] = None
    pressure_mpa: Annotated[JsonQuantity | None, _in("pressure_mpa")] = None
    level_m: Annotated[JsonQuantity | None, _in("level_m")] = None
    simulated: PlaceText | None = None
    partial_updates: bool = False

    @model_validator(mode="after")
    def _some_quantity(self) -> Self:
        if not any(getattr(self, name) for name in QUANTITIES):
            raise ValueError(f"no quantity is mapped: {', '.join(QUANTITIES)}")
        return self

    def mapping(self) -> JsonMapping:
        """What the decoder needs."""
        quantities = {name: getattr(self, name) for name in QUANTITIES}
        return JsonMapping(
            topic=self.topic,
            set_aside=self.set_aside,
            readings=parse_pointer(self.readings),
            address=parse_place(self.address),
            at=None if self.at == ARRIVAL else parse_place(self.at),
            time_format=self.time_format,
            zone=ZoneInfo(self.timezone) if self.timezone else None,
            receiver_clock=self.clock == "receiver",
            quantities={name: each.mapped() for name, each in quantities.items() if each},
            simulated=_place(self.simulated),
            partial=self.partial_updates,
        )


class MqttSignature(Section):
    """[[mqtt.signatures]]: a supplier's messages are signed (docs/connecting.md, Signatures)."""

    supplier: str
    key_file: Path
    window_s: int = Field(default=300, ge=1)
    required: bool = True


def _place(text: str | None) -> Place | None:
    return None if text is None else parse_place(text)


def _twice(suppliers: Iterable[str]) -> Iterator[str]:
    return (name for name, count in Counter(suppliers).items() if count > 1)


class Mqtt(Section):
    """[mqtt]: the broker and how to log in to it; `fast` false = the library's own reading."""

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    protocol: Literal["3.1.1", "5"] = "5"
    client_id: str = "jieshui-ingest"
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    fast: bool = True
    sources: tuple[MqttSource, ...] = ()
    tasmota: tuple[MqttTasmota, ...] = ()
    sparkplug: tuple[MqttSparkplug, ...] = ()
    json_: tuple[MqttJson, ...] = Field(default=(), alias="json")
    signatures: tuple[MqttSignature, ...] = ()

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        encrypted = self.tls or self.ca_file is not None
        if self.password_file and not encrypted and self.host not in LOOPBACK:
            raise ValueError(
                f"the password would go to {self.host} in clear: set tls = true or ca_file"
            )
        return self

    @model_validator(mode="after")
    def _one_table_a_supplier(self) -> Self:
        for name in ("tasmota", "sparkplug", "signatures"):
            for supplier in _twice(table.supplier for table in getattr(self, name)):
                raise ValueError(f"two tables mqtt.{name} are of the supplier {supplier!r}")
        return self
