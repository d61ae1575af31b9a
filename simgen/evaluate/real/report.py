"""What was left out of a folder of real images, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """Counts of what was read, and for each reason the names of what was not or only partly used."""

    format: str = ""
    images: int = 0
    objects: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, what: str) -> None:
        """Note that ``what`` was left out or changed for ``reason``."""
        self.skipped.setdefault(reason, []).append(what)

    def lines(self) -> list[str]:
        """One line of what was read, one for each reason."""
        first = f"{self.images} images, {self.objects} labelled objects ({self.format})"
        return [first] + [f"{len(names)} {reason}: {_some(names)}" for reason, names in self.skipped.items()]

    def plain(self) -> Mapping[str, Any]:
        """JSON-able facts; of each reason the count and the first names."""
        reasons = {reason: {"count": len(names), "first": names[:20]} for reason, names in self.skipped.items()}
        return {"format": self.format, "images": self.images, "objects": self.objects, "skipped": reasons}


def _some(names: list[str], count: int = 4) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - count} more" if len(distinct) > count else ""
    return ", ".join(distinct[:count]) + more
