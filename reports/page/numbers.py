"""Numbers as short as a screen can show them: a page holds tens of thousands."""

from __future__ import annotations

from typing import Any


def significant(values: Any, digits: int = 4) -> list[float | int | None]:
    """Each of *values* with so many significant digits, whole numbers without a point; None for what is no number."""
    import numpy as np

    array = np.asarray(values, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(array == 0, 0.0, np.floor(np.log10(np.abs(array))))
    step = 10.0 ** np.clip(digits - 1 - power, -300, 300)
    rounded = np.round(array * step) / step
    return [None if value != value else int(value) if value.is_integer() else value for value in rounded.tolist()]


def whole(values: Any) -> list[int]:
    """Counts."""
    import numpy as np

    return [int(value) for value in np.rint(values).tolist()]
