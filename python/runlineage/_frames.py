"""Data frames of runs. Only this module imports pandas, and only when a frame is asked for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from types import TracebackType

# In seconds. A bar that appears and is gone at once is no help.
PATIENCE = 2.0


def frame(columns: list[tuple[str, str, Any]], rows: int, wanted: Sequence[str] | None) -> pd.DataFrame:
    data: dict[str, Any] = {name: column(kind, values) for name, kind, values in columns}
    if wanted is not None:
        empty = {name: absent(name, rows) for name in wanted if name not in data}
        data = {name: {**data, **empty}[name] for name in ["run_id", *(name for name in wanted if name != "run_id")]}
    return pd.DataFrame(data)


def column(kind: str, values: Any) -> Any:
    if kind == "number":
        return np.frombuffer(values, dtype=np.float64)
    if kind == "time":
        return times(np.frombuffer(values, dtype=np.int64))
    if kind == "value":
        # Else pandas would take a list of equally long lists for a table.
        cells = np.empty(len(values), dtype=object)
        cells[:] = values
        return cells
    return values


def times(millis: np.ndarray) -> pd.Series:
    """The milliseconds since 1970 as times in UTC, of the type that `mlflow.search_runs` gives them."""
    sample = pd.Series([pd.to_datetime(0, unit="ms", utc=True)])
    dates = pd.Series(millis.view("datetime64[ms]")).dt.tz_localize("UTC")
    try:
        return dates.astype(sample.dtype)
    except pd.errors.OutOfBoundsDatetime:
        # Clients may set any time, and nanoseconds reach from 1677 to 2262 alone.
        return dates


def absent(name: str, rows: int) -> Any:
    """A column that no run has."""
    return np.full(rows, np.nan) if name.startswith("metrics.") else [None] * rows


class Bar:
    """A progress bar by tqdm."""

    def __init__(self, wanted: bool | None) -> None:
        self.bar: Any = None
        self.show = None
        if wanted is False or (wanted is None and not is_watched()):
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            if wanted:
                raise
            return
        self.tqdm = tqdm
        self.start = time.monotonic() + (0.0 if wanted else PATIENCE)
        self.show = self.advance

    def advance(self, runs: int) -> None:
        if self.bar is None and time.monotonic() >= self.start:
            self.bar = self.tqdm(desc="runs", unit=" runs")
        if self.bar is not None:
            self.bar.update(runs - self.bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()


def is_watched() -> bool:
    """Whether a person sees the output: on a terminal, or in a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
