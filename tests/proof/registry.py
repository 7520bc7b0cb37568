"""All kinds of proof. A new one is a module of this folder with a `PROOF`, and its name here."""

from __future__ import annotations

from importlib import import_module

from tests.proof.base import Proof

NAMES: tuple[str, ...] = ("syscalls", "power_loss", "mutants")


def proof(name: str) -> Proof:
    """Return the kind of proof with this name. Only its module is imported: each needs other libraries."""
    found = import_module(f"tests.proof.{name}").PROOF
    assert isinstance(found, Proof)
    return found
