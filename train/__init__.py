"""Training: labelled rows in, a run folder out. Needs the extra ``train``."""

from textgate.train.config import TrainingConfig
from textgate.train.finetuner import FinetuningConfig
from textgate.train.finetuning import teach
from textgate.train.fitting import Columns, FittedRun, fit
from textgate.train.presets import PRESETS

__all__ = [
    "PRESETS",
    "Columns",
    "FinetuningConfig",
    "FittedRun",
    "TrainingConfig",
    "fit",
    "teach",
]
