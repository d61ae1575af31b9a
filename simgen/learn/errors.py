"""Errors of learning and of scoring on real images."""

from __future__ import annotations

from simgen.errors import SimgenError


class LearnError(SimgenError):
    """Data, settings or a model file do not allow what was asked of training or prediction."""
