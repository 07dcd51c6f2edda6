"""How a rule of the consensus looks over all observations of an asset, as pieces of SQL.

Conditions and values are expressions over one observation.
"""


def median(value: str, where: str = "true") -> str:
    """Return a median without floating point: the mean of the lower and the upper middle value."""
    return (
        f"(percentile_disc(0.5) within group (order by {value}) filter (where {where})"
        f" + percentile_disc(0.5) within group (order by {value} desc) filter (where {where}))"
        " * 0.5"
    )


class Several:
    """For an asset with several observations: in a group, or in the window that ``over`` names."""

    def __init__(self, over: str = "") -> None:
        self.over = over

    def any(self, condition: str) -> str:
        """Whether one of them meets the condition; never null."""
        return f"coalesce(bool_or({condition}){self.over}, false)"

    def count(self, condition: str) -> str:
        """How many of them meet the condition."""
        return f"count(*) filter (where {condition}){self.over}"

    def highest(self, value: str, condition: str) -> str:
        """The highest value among those that meet the condition; null if none does."""
        return f"max({value}) filter (where {condition}){self.over}"

    def lowest(self, value: str, condition: str) -> str:
        """The lowest value among them."""
        return f"min({value}) filter (where {condition}){self.over}"

    def list(self, value: str, condition: str, order: str) -> str:
        """An array of their values, in a group only; null if none meets the condition."""
        return f"array_agg({value} order by {order}) filter (where {condition})"

    def first(self, value: str, condition: str, order: str) -> str:
        """The first of these values."""
        return f"({self.list(value, condition, order)})[1]"

    def median(self, value: str, condition: str) -> str:
        """The median of their values, in a group only."""
        return median(value, condition)


class Alone(Several):
    """The same for an asset with a single observation, which is its own group and window."""

    def any(self, condition: str) -> str:
        """Whether it meets the condition."""
        return f"coalesce({condition}, false)"

    def count(self, condition: str) -> str:
        """One if it does."""
        return f"({self.any(condition)})::int"

    def highest(self, value: str, condition: str) -> str:
        """Its value if it does."""
        return f"case when {condition} then {value} end"

    lowest = highest

    def list(self, value: str, condition: str, order: str) -> str:  # noqa: ARG002 - needs no order
        """An array of its value."""
        return self.highest(f"array[{value}]", condition)

    def first(self, value: str, condition: str, order: str) -> str:  # noqa: ARG002 - needs no order
        """Its value."""
        return self.highest(value, condition)

    def median(self, value: str, condition: str) -> str:
        """Its value."""
        return self.highest(value, condition)
