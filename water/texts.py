"""Text of strangers, as every database can hold it."""


def storable(text: str) -> str:
    """The text with a sign in the place of what some database refuses.

    JSON can name half a surrogate pair, which no UTF-8 holds, and NUL, which PostgreSQL's text
    doesn't: what suppliers send may be anything.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "␀").encode(errors="replace").decode()
