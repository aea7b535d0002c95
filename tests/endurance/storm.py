"""Hostile messages of one supplier: right ones made wrong by structure, and bytes at random.

Everything is drawn from one seeded source, so that a message that does harm can be had again.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parents[2] / "docs/connecting.md"
FRAMES = {
    "cjt188": bytes.fromhex("681044332211003378811690 1F00 34120000 2C 00000000 2C 0000 16"),
    "sl651": bytes.fromhex("7E7E05001122334400003200150200012609151200003923001234560327237E7E03"),
}
"""Frames of the binary dialects, about right: their checksums are not."""
TOPICS = {
    "jieshui": "{meter}/reading",
    "chirpstack": "application/a/device/{meter}/event/up",
    "thethingsstack": "v3/a@t/devices/{meter}/up",
    "alink": "sys/p/{meter}/thing/event/property/post",
    "onenet": "$sys/p/{meter}/thing/property/post",
    "iotda": "$oc/devices/{meter}/sys/properties/report",
}
WORDS = (
    "", " ", "nan", "-1", "1e999", "2026-13-45T99:99:99", "2026-01-01T00:00:00", "9" * 400,
    "未知", "\u202e", "'; DROP TABLE quarantine; --", "../../etc/passwd", "%s%n", "\x00",
    "=1+1", "a" * 5_000, "true", "0x1F", "１２３", "1,5",
)  # fmt: skip
NUMBERS = (
    0, -1, -0.0, 1e308, -1e308, 5e-324, 10**30, 2**63, -(2**63) - 1, 10**300, 1e13,
    253402300800, 253402300800000, -62135596801, 4_294_967_295, 0.1 + 0.2,
)  # fmt: skip
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400, "0x10", "01", "+1", ".5")
"""Numbers that only a text can hold."""
NOT_UTF8 = (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80", b"\xef\xbb\xbf")
LAST_WILLS = (b"offline", b"Online", b'"offline"', b"disconnected")
GBK = '{{"表号":"{0}","读数":{1},"状态":"正常"}}'
HUGE = 200_000
"""Bytes of the longest payloads that are read; longer ones are cut and counted as too large."""


class Hostile(NamedTuple):
    """One message, and how it is hostile."""

    kind: str
    topic: bytes
    payload: bytes
    retain: bool = False


class Storm:
    """Makes hostile messages of a supplier.

    Args:
        supplier: whose login sends them.
        own: meters that are its own.
        others: meters of others.
        now: epoch second around which right readings lie.
        dice: where everything is drawn from.
    """

    def __init__(
        self,
        supplier: str,
        own: Sequence[str],
        others: Sequence[str],
        now: int,
        dice: random.Random,
    ) -> None:
        self._root = f"water/v1/{supplier}"
        self._own, self._others, self._now, self._dice = own, others, now, dice
        self._shown = load_examples()
        self._dialects = [*self._shown, *FRAMES]
        self._kinds: list[Callable[[], Hostile]] = []
        self._weights: list[int] = []
        for kind, weight in self._list_kinds():
            self._kinds.append(kind)
            self._weights.append(weight)

    def make(self, count: int) -> list[Hostile]:
        """The next messages."""
        return [kind() for kind in self._dice.choices(self._kinds, self._weights, k=count)]

    def _list_kinds(self) -> Sequence[tuple[Callable[[], Hostile], int]]:
        """Ways to be hostile, and how often in ten thousand."""
        return (
            (self._change_one, 3_000),
            (self._flip_bytes, 1_800),
            (self._random_bytes, 600),
            (self._cut_short, 500),
            (self._raw_number, 500),
            (self._duplicate_key, 400),
            (self._wrong_dialect, 500),
            (self._wrong_meter, 900),
            (self._wrong_time, 700),
            (self._gbk, 200),
            (self._invalid_utf8, 200),
            (self._empty, 150),
            (self._last_will, 100),
            (self._retained, 100),
            (self._strange_topic, 150),
            (self._huge_topic, 60),
            (self._deep, 30),
            (self._huge, 10),
            (self._bomb, 5),
        )

    def _place(self, dialect: str, meter: str | None = None) -> bytes:
        rest = TOPICS.get(dialect, "{meter}").format(meter=meter or self._dice.choice(self._own))
        return f"{self._root}/{dialect}/{rest}".encode()

    def _right(self) -> tuple[str, Any]:
        dialect = self._dice.choice(list(self._shown))
        return dialect, self._dice.choice(self._shown[dialect])

    def _text(self, dialect: str) -> bytes:
        if dialect in FRAMES:
            return FRAMES[dialect]
        return json.dumps(self._dice.choice(self._shown[dialect])).encode()

    # -- by structure

    def _change_one(self) -> Hostile:
        dialect, content = self._right()
        content = deepcopy(content)
        for _ in range(self._dice.choice((1, 1, 1, 2, 4))):
            content = self._replace(content)
        return Hostile("one value changed", self._place(dialect), json.dumps(content).encode())

    def _replace(self, content: Any) -> Any:
        """The content with one value, somewhere in it, replaced, dropped or repeated."""
        dice = self._dice
        if not isinstance(content, dict | list) or not content or dice.random() < 0.1:
            return self._any_value()
        if isinstance(content, list):
            index = dice.randrange(len(content))
            content[index] = self._replace(content[index])
            if dice.random() < 0.1:
                content += content[:5]
            return content
        key = dice.choice(list(content))
        if dice.random() < 0.1:
            del content[key]
        else:
            content[key] = self._replace(content[key])
        return content

    def _any_value(self) -> Any:
        dice = self._dice
        which = dice.randrange(6)
        if which == 0:
            return dice.choice(WORDS)
        if which <= 2:
            return dice.choice(NUMBERS)
        if which == 3:
            return dice.choice((None, True, False, [], {}, [[]], {"": None}))
        if which == 4:
            return dice.uniform(-1e6, 1e6)
        return {dice.choice(WORDS): self._any_value()}

    def _raw_number(self) -> Hostile:
        dialect, content = self._right()
        numbers = list(re.finditer(r"-?\d+\.?\d*", text := json.dumps(content)))
        if numbers:
            number = self._dice.choice(numbers)
            text = text[: number.start()] + self._dice.choice(RAW) + text[number.end() :]
        return Hostile("number that is none", self._place(dialect), text.encode())

    def _duplicate_key(self) -> Hostile:
        dialect, content = self._right()
        text = json.dumps(content)
        keys = re.findall(r'"[^"]+": (?:-?[\d.]+|"[^"]*")', text)
        if keys and text.startswith("{"):
            again = re.sub(r"\d", lambda _: str(self._dice.randrange(10)), self._dice.choice(keys))
            text = f"{{{again}, {text[1:]}"
        return Hostile("duplicate key", self._place(dialect), text.encode())

    def _reading(self, meter: str, at: object) -> bytes:
        register = round(self._dice.uniform(0, 1e5), 3)
        return json.dumps({"meter": meter, "at": at, "register_m3": register}).encode()

    def _wrong_meter(self) -> Hostile:
        """Meters that nobody knows, ever new, and those of others."""
        dice = self._dice
        unknown = f"{dice.getrandbits(64):x}{dice.choice(WORDS)}"
        meter = dice.choice(self._others) if dice.random() < 0.4 else unknown
        payload = self._reading(meter, self._now - dice.randrange(86_400))
        return Hostile("meter of nobody or of others", self._place("jieshui", "-"), payload)

    def _wrong_time(self) -> Hostile:
        dice = self._dice
        at = dice.choice(
            (self._now + dice.randrange(10**6, 10**9), dice.randrange(-(10**12), 10**6),
             dice.choice(NUMBERS), dice.choice(WORDS), self._now * 1000, str(self._now))
        )  # fmt: skip
        payload = self._reading(dice.choice(self._own), at)
        return Hostile("future, ancient or no time", self._place("jieshui", "-"), payload)

    def _wrong_dialect(self) -> Hostile:
        dice = self._dice
        dialect = dice.choice([*self._dialects, "nosuch", "", "Jieshui", "%2e"])
        payload = self._text(dice.choice(self._dialects))
        return Hostile("another dialect's payload", self._place(dialect), payload)

    def _deep(self) -> Hostile:
        dice = self._dice
        start = dice.choice((b"[", b'{"a":', b'{"readings":[', b'{"params":'))
        payload = start * dice.choice((50, 500, 5_000, 20_000))
        return Hostile("deep nesting", self._place(dice.choice(list(self._shown))), payload)

    def _bomb(self) -> Hostile:
        """Thousands of readings in one message, every one of a meter that nobody knows."""
        rows = [
            f'{{"meter":"{self._dice.getrandbits(40):x}","at":{self._now},"register_m3":{n}}}'
            for n in range(2_000)
        ]
        return Hostile("two thousand bad readings", self._place("jieshui", "-"),
                       f"[{','.join(rows)}]".encode())  # fmt: skip

    # -- by bytes

    def _flip_bytes(self) -> Hostile:
        dice = self._dice
        dialect = dice.choice(self._dialects)
        payload = bytearray(self._text(dialect))
        for _ in range(dice.choice((1, 1, 2, 8))):
            where = dice.randrange(len(payload))
            which = dice.randrange(3)
            if which == 0:
                payload[where] ^= 1 << dice.randrange(8)
            elif which == 1:
                payload[where:where] = dice.randbytes(dice.randrange(1, 4))
            else:
                del payload[where : where + dice.randrange(1, 4)]
                payload = payload or bytearray(b"x")
        return Hostile("bytes changed", self._place(dialect), bytes(payload))

    def _random_bytes(self) -> Hostile:
        payload = self._dice.randbytes(self._dice.randrange(1, 300))
        return Hostile("random bytes", self._place(self._dice.choice(self._dialects)), payload)

    def _cut_short(self) -> Hostile:
        dialect = self._dice.choice(self._dialects)
        payload = self._text(dialect)
        return Hostile(
            "cut short", self._place(dialect), payload[: self._dice.randrange(1, len(payload))]
        )

    def _invalid_utf8(self) -> Hostile:
        dialect, content = self._right()
        text = json.dumps(content, ensure_ascii=False).encode()
        where = self._dice.randrange(len(text))
        bad = self._dice.choice(
            (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80", b"\xef\xbb\xbf")
        )
        return Hostile("not UTF-8", self._place(dialect), text[:where] + bad + text[where:])

    def _gbk(self) -> Hostile:
        text = GBK.format(self._dice.choice(self._own), self._dice.randrange(10**6))
        return Hostile("GBK", self._place(self._dice.choice(list(self._shown))), text.encode("gbk"))

    def _huge(self) -> Hostile:
        size = self._dice.choice((HUGE, 2 * HUGE, 5 * HUGE))
        payload = b'{"at":1,"register_m3":"' + b"9" * size
        return Hostile("huge payload", self._place("jieshui"), payload)

    # -- by envelope

    def _empty(self) -> Hostile:
        payload = self._dice.choice((b"", b" ", b"\n\t", b"\x00", b"null", b"{}", b"[]"))
        return Hostile("empty", self._place(self._dice.choice(self._dialects)), payload)

    def _last_will(self) -> Hostile:
        payload = self._dice.choice(LAST_WILLS)
        return Hostile("last will", self._place(self._dice.choice(self._dialects)), payload)

    def _retained(self) -> Hostile:
        dialect, content = self._right()
        return Hostile("retained", self._place(dialect), json.dumps(content).encode(), retain=True)

    def _strange_topic(self) -> Hostile:
        dice = self._dice
        rest = dice.choice(
            ("", "/", "jieshui", "jieshui//", "jieshui/" + "x/" * 150, "jieshui/ /reading",
             "jieshui/表/reading", "jieshui/../../reading", f"{dice.getrandbits(64):x}/y")
        )  # fmt: skip
        payload = self._reading(dice.choice(self._own), self._now)
        return Hostile("strange topic", f"{self._root}/{rest}".encode(), payload)

    def _huge_topic(self) -> Hostile:
        """Long and ever new: whoever remembers topics must not remember these."""
        meter = f"{self._dice.getrandbits(64):x}" + "a" * self._dice.choice((2_000, 20_000, 60_000))
        payload = self._reading(self._dice.choice(self._own), self._now)
        return Hostile("huge topic", self._place("jieshui", meter), payload)

    def break_rights(self) -> Hostile:
        """To a topic of others: Mosquitto drops it, and may put out whoever sends it."""
        topic = self._dice.choice(
            (f"water/v1/good/jieshui/{self._dice.choice(self._others)}/reading",
             "receipts/v1/good", "water/v2/x", "$SYS/broker/uptime", "water/v1/")
        )  # fmt: skip
        payload = self._reading(self._dice.choice(self._others), self._now)
        return Hostile("topic of others", topic.encode(), payload)


def load_examples() -> dict[str, list[Any]]:
    """Right payloads of each dialect that speaks JSON, as the page for suppliers has them."""
    shown: dict[str, list[Any]] = {}
    page = PAGE.read_text(encoding="utf-8")
    for name, section in re.findall(r"^## `(\w+)`(.*?)(?=^## )", page, re.DOTALL | re.MULTILINE):
        for payload in re.findall(r"```json\n(.*?)```", section, re.DOTALL):
            shown.setdefault(name, []).append(json.loads(payload))
    return shown
