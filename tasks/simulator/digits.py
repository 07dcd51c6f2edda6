"""Numbers as the vendors write them: ints or floats by mood, six digits or seventeen."""

_WHOLE_FROM = 10_000
_AMOUNT_WHOLE_FROM = 1_000
_SCIENTIFIC_FROM = 1e12


def price(value: float) -> str:
    """Write a price as CoinGecko does: six significant digits, a whole number when large."""
    return str(round(value)) if value >= _WHOLE_FROM else f"{value:.6g}"


def amount(value: float) -> str:
    """Write an amount of money: a whole number unless it is small."""
    return str(round(value)) if value >= _AMOUNT_WHOLE_FROM else full(value)


def percent(value: float) -> str:
    """Write a percentage to five decimals; one beyond all sense as the sender's double."""
    return f"{value:.5f}" if abs(value) < _SCIENTIFIC_FROM else full(value)


def full(value: float) -> str:
    """Write every digit a double has."""
    return repr(value)


def short(value: float, decimals: int) -> str:
    """Write a rounded number without needless zeros, an int if it is one."""
    rounded = round(value, decimals)
    return str(int(rounded)) if rounded == int(rounded) else repr(rounded)
