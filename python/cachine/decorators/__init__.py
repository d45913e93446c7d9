"""Decorators: :func:`cached` keeps what a function returns."""

from cachine.decorators.cached import cached

__all__ = ["cached"]
