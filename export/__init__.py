"""Export of finished runs as verified bundles. Needs the extra ``train``."""

from textgate.errors import needing

with needing("train", "textgate.export"):
    from textgate.bundle.manifest import PRECISIONS
    from textgate.export.exporter import Exported, export
    from textgate.export.front_matter import Publication
    from textgate.export.quality import MAX_ACCURACY_DROP
    from textgate.export.thresholds import Answers

__all__ = [
    "MAX_ACCURACY_DROP",
    "PRECISIONS",
    "Answers",
    "Exported",
    "Publication",
    "export",
]
