"""What our own checks say of a refused reading (ingest.checks, water.limits), in words."""

import re

from api.pages.figures import write_number, write_seconds
from api.pages.texts import Texts

_AHEAD = re.compile(r"(\d+) s ahead")
_OLD = re.compile(r"(\d+) days")
_BEYOND = re.compile(r"register_m3 (\S+), dial ends at (\S+)")
_VALUE = re.compile(r"(register_m3|flow_m3_h|pressure_mpa|level_m) (\S+)")


def write_detail(texts: Texts, detail: str) -> str:
    """A detail in the page's language; one that a decoder wrote stays as it is."""
    try:
        return _translate(texts, detail)
    except ValueError:  # no number where one is expected: a supplier's own words
        return detail


def _translate(texts: Texts, detail: str) -> str:
    if found := _AHEAD.fullmatch(detail):
        return texts.say("detail.ahead", span=write_seconds(float(found[1])))
    if found := _OLD.fullmatch(detail):
        return texts.say("detail.old", days=write_number(int(found[1])))
    if found := _BEYOND.fullmatch(detail):
        register, modulus = (write_number(float(text), 3) for text in found.groups())
        return texts.say("detail.beyond", register=register, modulus=modulus)
    if found := _VALUE.fullmatch(detail):
        return f"{texts.word('quantity', found[1])} {write_number(float(found[2]), 3)}"
    return detail
