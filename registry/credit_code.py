"""The unified social credit code 统一社会信用代码 (GB 32100-2015)."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of a code: digits and capitals without I, O, S, V, Z (GB 32100-2015, 表 2)."""

LENGTH = 18


def well_formed(code: str) -> bool:
    """Whether a code has 18 characters of the alphabet."""
    return len(code) == LENGTH and all(character in ALPHABET for character in code)


def check_character(body: str) -> str:
    """The 18th character of a code that begins with these 17.

    C18 = 31 − (Σ Cᵢ · 3^(i−1) mod 31), 31 counting as 0 (GB 32100-2015, 附录 B).
    """
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return ALPHABET[-total % 31]


def valid(code: str) -> bool:
    """Whether a code is well formed and its check character fits."""
    return well_formed(code) and check_character(code[:-1]) == code[-1]
