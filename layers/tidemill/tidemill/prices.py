"""
AWS's list prices, us-east-1, without any free tier: what costs are reckoned from where one is told.

As of 2026-11-20, by hand: *read* says whether the page itself was read then, or the figure is from
memory of it. Check them before you quote a sum.
"""

from dataclasses import dataclass
from typing import Final

AS_OF: Final = "2026-11-20"
REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one *unit*, and where the figure is from."""

    dollars: float
    unit: str
    source: str
    read: bool = False


#: Of an account's first 10,000. A metric is billed for the hours in which it is sent.
METRIC: Final = Price(0.30, "metric and month", "aws.amazon.com/cloudwatch/pricing, custom metrics")
