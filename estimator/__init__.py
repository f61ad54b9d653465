"""scikit-learn estimator of textgate. Needs the extra ``sklearn``."""

from textgate.errors import needing

with needing("sklearn", "textgate.sklearn"):
    from textgate.sklearn.classifier import TextgateClassifier
    from textgate.sklearn.errors import InputError

__all__ = ["InputError", "TextgateClassifier"]
