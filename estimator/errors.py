"""Errors of an estimator, which are also those that scikit-learn's tools expect."""

from textgate.errors import ConfigError, DataError


class InputError(DataError, ValueError):
    """Texts or labels are of a wrong type, shape or value."""


class MissingMethodError(ConfigError, AttributeError):
    """An estimator does not have this method; for `hasattr`, it is absent."""
