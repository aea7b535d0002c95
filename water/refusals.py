"""Why a message or a reading is not stored: every reason has one name, one count, one line."""

from enum import StrEnum


class Undecodable(StrEnum):
    """A whole message that no decoder could turn into readings."""

    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_DIALECT = "unknown_dialect"
    UNKNOWN_SUPPLIER = "unknown_supplier"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    MALFORMED = "malformed"
    NO_QUANTITY = "no_quantity"
    ALIAS_UNKNOWN = "alias_unknown"
    """Its values have numbers for names, and what those stand for was said in another message."""
    UNSIGNED = "unsigned"
    BAD_SIGNATURE = "bad_signature"
    SIGNATURE_EXPIRED = "signature_expired"
    JOURNAL_LOST = "journal_lost"
    """It was received and numbered; damage to the journal took it."""


class SetAside(StrEnum):
    """A message that is understood and holds no reading to store."""

    RETAINED = "retained"
    LAST_WILL = "last_will"
    STATUS = "status"
    EVENT = "event"
    SIMULATED = "simulated"
    EMPTY = "empty"


class Refusal(StrEnum):
    """A decoded reading that a check of one message refuses; it goes to quarantine."""

    UNKNOWN_METER = "unknown_meter"
    OTHER_SUPPLIERS_METER = "other_suppliers_meter"
    OUT_OF_SERVICE = "out_of_service"
    NO_TIME = "no_time"
    TIME_WITHOUT_ZONE = "time_without_zone"
    BAD_TIME = "bad_time"
    FUTURE = "future"
    TOO_OLD = "too_old"
    NOT_FINITE = "not_finite"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE_REGISTER = "negative_register"
    BEYOND_DIAL = "beyond_dial"
    OUT_OF_RANGE = "out_of_range"
    SENTINEL = "sentinel"
    SIMULATED = "simulated"
    STORE_REFUSED = "store_refused"
