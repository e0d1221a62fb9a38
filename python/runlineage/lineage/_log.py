"""The messages of autolog: what goes wrong while a user's run works is logged once, and never raised."""

from __future__ import annotations

import logging

LOG = logging.getLogger("runlineage.lineage")


class Once:
    """A warning that is logged once in a process. Unless `trace` is false, it shows the exception that is being handled."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._is_said = False

    def warn(self, *arguments: object, trace: bool = True) -> None:
        if not self._is_said:
            self._is_said = True
            LOG.warning(self._message, *arguments, exc_info=trace)
