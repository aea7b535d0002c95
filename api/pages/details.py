"""What our own checks say of a refused reading (ingest.checks, water.limits), in words."""

import re
from collections.abc import Callable, Mapping

from api.pages.figures import write_number, write_seconds
from api.pages.texts import Texts
from water.refusals import Refusal

_AHEAD = re.compile(r"(\d+) s ahead")
_OLD = re.compile(r"(\d+) days")
_BEYOND = re.compile(r"register_m3 (\S+), dial ends at (\S+)")
_VALUE = re.compile(r"(register_m3|flow_m3_h|pressure_mpa|level_m) (\S+)")
_NAMED = re.compile(r"(old_final_m3|new_initial_m3)(?:: (.*))?", re.DOTALL)


def write_detail(texts: Texts, reason: str, detail: str) -> str:
    """A refused reading's detail in the page's language.

    Only what our own checks say for that reason is translated: an address, or what a decoder
    wrote, stays as it is.
    """
    if reason not in _WAYS:
        return detail
    pattern, write = _WAYS[reason]
    found = pattern.fullmatch(detail)
    try:
        return write(texts, found) if found else detail
    except ValueError:  # no number where one is expected: a supplier's own words
        return detail


def write_event_detail(texts: Texts, reason: str, detail: str) -> str:
    """A refused meter change's detail, which begins with the index that was refused."""
    named = _NAMED.fullmatch(detail)
    if named is None:
        return detail
    said = write_detail(texts, reason, named[2] or "")
    return ": ".join(filter(None, (texts[named[1]], said)))


def _write_ahead(texts: Texts, found: re.Match[str]) -> str:
    return texts.say("detail.ahead", span=write_seconds(float(found[1])))


def _write_old(texts: Texts, found: re.Match[str]) -> str:
    return texts.say("detail.old", days=write_number(int(found[1])))


def _write_beyond(texts: Texts, found: re.Match[str]) -> str:
    register, modulus = (write_number(float(text), 3) for text in found.groups())
    return texts.say("detail.beyond", register=register, modulus=modulus)


def _write_value(texts: Texts, found: re.Match[str]) -> str:
    return f"{texts.word('quantity', found[1])} {write_number(float(found[2]), 3)}"


_WAYS: Mapping[str, tuple[re.Pattern[str], Callable[[Texts, re.Match[str]], str]]] = {
    Refusal.FUTURE: (_AHEAD, _write_ahead),
    Refusal.TOO_OLD: (_OLD, _write_old),
    Refusal.BEYOND_DIAL: (_BEYOND, _write_beyond),
    Refusal.NEGATIVE_REGISTER: (_VALUE, _write_value),
    Refusal.OUT_OF_RANGE: (_VALUE, _write_value),
}
