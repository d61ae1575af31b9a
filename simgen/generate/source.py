"""What a worker computes frames with: the library and renderer of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from simgen.config import RenderConfig
from simgen.labels.frame import Frame
from simgen.scene.record import SceneRecord
from simgen.scene.state import Simulation


@dataclass(frozen=True)
class Facts:
    """What a dataset says about where its frames come from; ``assets`` is the fingerprint of the library."""

    renderer: str
    device: str
    passes: tuple[str, ...]
    categories: tuple[str, ...]
    assets: str


class Source(Protocol):
    """Scenes and frames of one configuration. Every answer depends on the configuration and arguments only."""

    facts: Facts

    def scene(self, scene: int) -> tuple[SceneRecord, Simulation]:
        """Draw and simulate a scene."""
        ...

    def simulate(self, record: SceneRecord) -> Simulation:
        """Simulate a scene that has been drawn before."""
        ...

    def frames(self, record: SceneRecord, simulation: Simulation, wanted: Sequence[int]) -> Iterator[Frame]:
        """The frames at the places ``wanted`` of a simulated scene."""
        ...

    def complaint(self, record: SceneRecord, simulation: Simulation) -> str:
        """A sentence on what had to be removed from a scene that did not settle, and what to change."""
        ...

    def check(self) -> None:
        """Raise SimgenError for what is wrong and would be found only when some scene needs it."""
        ...

    def contents(self) -> dict[str, str]:
        """Part of the assets -> digest of what its files hold, of those that scenes may show."""
        ...

    def warm_up(self, tell: Callable[[str], None], helping: bool = False) -> None:
        """Compile what has to be compiled, so that processes opened afterwards find it on the disk.

        ``tell`` is given a sentence beforehand when that takes long. ``helping``: another process does the same just
        now, and will find what this one is through with first.
        """
        ...

    def close(self) -> None:
        """Free what is resident."""
        ...


OpenSource = Callable[[RenderConfig], Source]
"""Opens a source; a function at the top level of a module, since workers look it up by name."""
