"""Optional packages, asked for by name with one sentence on how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from simgen.learn.errors import LearnError


def torch(what: str = "training and prediction") -> None:
    """Raise LearnError unless PyTorch can be imported; ``what``, in plural, needs it."""
    package("torch", what)


def package(name: str, what: str, extra: str = "learn") -> ModuleType:
    """The package ``name``; raises LearnError when it cannot be imported.

    ``what`` says what needs it, in plural; ``extra`` is the extra of simgen that brings it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise LearnError(f"{what} need the package {name}; install it with: pip install 'simgen[{extra}]'.") from None
