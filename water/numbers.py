"""Numbers that people and devices write as text."""


def parse_number(text: str) -> float:
    """The number that a text writes in decimal digits, blanks around it allowed.

    float() alone takes more: "12_5" is no 125 on any meter, and digits of other scripts are a
    mistake of encoding more often than a number. NaN and infinity are numbers here.

    Raises:
        ValueError: it is none.
    """
    text = text.strip()
    if "_" in text or not text.isascii():
        raise ValueError(text[:80])
    return float(text)
