"""How a candidate or a source of anomalies is drawn, the same in every figure."""

from typing import NamedTuple


class Look(NamedTuple):
    """Colour as #RRGGBB, and marker as matplotlib names it."""

    colour: str
    marker: str
