"""Replaces functions of MLflow for as long as autolog is on."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from runlineage.lineage._log import LOG


class Replacements:
    """The functions that were replaced, so that `restore` puts the originals back."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    @property
    def are_on(self) -> bool:
        return bool(self._replaced)

    def replace(self, module: str, owner: str | None, name: str, make: Callable[[Any], Any]) -> None:
        """Replaces a function of a module, or of the class `owner` in it, by what `make` makes of it."""
        try:
            place = importlib.import_module(module)
            place = getattr(place, owner) if owner else place
            original = vars(place)[name]
        except (ImportError, AttributeError, KeyError) as error:
            where = ".".join(filter(None, (module, owner, name)))
            LOG.warning("autolog does not see calls of %s, because this version of MLflow has no such function: %r", where, error)
            return
        ours = make(original)
        setattr(place, name, ours)
        self._replaced.append((place, name, original, ours))

    def restore(self) -> None:
        for place, name, original, ours in reversed(self._replaced):
            # If another library has wrapped ours meanwhile, its wrapper stays, and ours passes its calls on.
            if vars(place).get(name) is ours:
                setattr(place, name, original)
        self._replaced.clear()
