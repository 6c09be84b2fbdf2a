"""What upstreams do to numbers: units that are confused, zero points, clocks that are turned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tidemill_jobs.drift.distances import Cdf, Floats

#: Factors between units that upstreams confuse; the inverse of each is tried, too.
FACTORS: Final = {
    10.0: "ten",
    100.0: "per cent and shares, or cents and units",
    1_000.0: "thousands and units, or milliseconds and seconds",
    1e6: "millions and units",
    12.0: "inches and feet, or months and years",
    24.0: "hours and days",
    60.0: "minutes and hours, or seconds and minutes",
    1_440.0: "minutes and days",
    3_600.0: "seconds and hours",
    86_400.0: "seconds and days",
    1 / 0.3048: "feet and metres",
    2.54: "centimetres and inches",
    25.4: "millimetres and inches",
    0.9144: "yards and metres",
    1.609344: "kilometres and miles",
    1.852: "kilometres and nautical miles",
    1.150779: "miles and knots",
    3.6: "km/h and m/s",
    2.236936: "mph and m/s",
    1.943844: "knots and m/s",
    1 / 0.45359237: "pounds and kilograms",
    28.349523: "grams and ounces",
    3.785412: "litres and gallons",
    33.863887: "hPa and inches of mercury",
    1.8: "degrees of Celsius and Fahrenheit, without the 32",
    1.333224: "hPa and mmHg",
}
#: x -> ax + b
CONVERSIONS: Final = (
    (5 / 9, -160 / 9, "turned from Fahrenheit into Celsius"),
    (1.8, 32.0, "turned from Celsius into Fahrenheit"),
    (5 / 9, 273.15 - 160 / 9, "turned from Fahrenheit into kelvin"),
    (1.8, 32.0 - 1.8 * 273.15, "turned from kelvin into Fahrenheit"),
    (1.0, 273.15, "turned from Celsius into kelvin"),
    (1.0, -273.15, "turned from kelvin into Celsius"),
    (-1.0, 0.0, "turned round in sign"),
)
#: What goes round, and the steps it is turned by: hours, minutes and HHMM of a day.
ROUNDS: Final = ((24.0, 1.0), (1_440.0, 60.0), (2_400.0, 100.0))
LARGE = 8.0  # a factor that no season makes

#: Why a change is believed: nothing in the world does it; the new values are the old ones,
#: converted; or the moved rows lie apart from where they were, in the same shape.
Evidence = Literal["", "plain", "values", "apart"]


@dataclass(frozen=True, slots=True)
class Undone:
    """
    What was done to a *share* of the rows: x -> *factor* x + *offset*.

    `known` says in words what the change is known as; empty for one that was estimated. `left` is
    the distance that it does not explain. Beyond `round` values begin anew; 0 where they do not.
    """

    factor: float
    offset: float
    share: float = 1.0
    left: float = 1.0
    known: str = ""
    round: float = 0.0
    evidence: Evidence = ""

    @property
    def large(self) -> bool:
        """Whether it is a factor that no season makes."""
        return max(abs(self.factor), 1 / abs(self.factor)) >= LARGE

    def does(self, cdf: Cdf) -> Cdf:
        """Return the distribution after it was done to all rows."""
        values, weights = cdf.values * self.factor + self.offset, cdf.weights
        if self.round:
            values = values % self.round
        elif self.factor > 0:
            return Cdf(values, weights)
        order = np.argsort(values, kind="stable")
        return Cdf(values[order], np.cumsum(cdf.steps[order]))

    def undoes(self, values: Floats) -> Floats:
        """Return what values were before."""
        found = (values - self.offset) / self.factor
        return found % self.round if self.round else found


def known_changes(baseline: Cdf) -> Iterator[Undone]:
    """Yield the changes that may have been made to a feature, whatever it is now."""
    for factor, words in FACTORS.items():
        yield Undone(factor, 0.0, known=words)
        yield Undone(1 / factor, 0.0, known=words)
    for factor, offset, words in CONVERSIONS:
        yield Undone(factor, offset, known=words)
    low, high = baseline.values[[0, -1]]
    for whole, step in ROUNDS:
        if low >= 0 and 0.9 * whole < high <= whole:
            for turned in np.arange(step, whole, step):
                yield Undone(1.0, float(turned), known="turned", round=whole)
