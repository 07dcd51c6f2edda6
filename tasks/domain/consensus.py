"""The figures of the rules by which one price is made of several; docs/adr/0021-consensus.md.

The rules themselves are one SQL statement in :mod:`tasks.store.consensus`, because they run over
thousands of assets at a time.
"""

from decimal import Decimal
from enum import StrEnum


class Use(StrEnum):
    """What became of an observation in the consensus of its asset."""

    USED = "used"
    STALE = "stale"
    OUTLIER = "outlier"
    HELD = "held"
    UNPRICED = "unpriced"


ALONE = "The only fresh price."
"""Why a price is used that no other one stands beside: what becomes of most new observations."""
TOLERANCE = Decimal("0.05")
"""Share of the price by which honest sources may differ; beyond it two of them disagree."""
MAD_FACTOR = Decimal("4.4478")
"""Three standard deviations in terms of the median absolute deviation (3 x 1.4826)."""
READMIT_SHARE = Decimal("0.5")
"""An outlier counts again only below this share of the threshold it once exceeded."""
HOLD_FACTOR = 100
"""A move by more than this factor is not believed from fewer than three sources at once."""
SAME_LEVEL = 2
"""Two prices within this factor confirm each other's level after such a move."""
HOLD_MEMORY = "7 days"
"""A published price older than this against an observation is no measure of a move."""
FUTURE_GRACE = "1 hour"
"""A clock may be ahead by so much; an observation from further on is not believed."""
CONFIDENCE_BY_COUNT = (Decimal("0.60"), Decimal("0.80"), Decimal("0.90"), Decimal("0.95"))
"""Confidence of one, two, three, and more sources that agree."""
CONFIDENCE_LOST_WITHIN = Decimal("0.3")
"""Share of confidence lost as the spread grows from nothing to the tolerance."""
CONFIDENCE_IF_DISAGREEING = Decimal("0.4")
CONFIDENCE_IF_STALE = Decimal("0.3")
CONFIDENCE_IF_HELD = Decimal("0.2")
"""Flat: what is published is the price before the move."""
OWNER_FACTOR = 2
"""A challenger needs more than this many times the market cap of a settled owner of a ticker."""
OWNER_SETTLED_AFTER = "7 days"
