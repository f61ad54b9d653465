"""Training: labelled rows in, a run folder out. Needs the extra ``train``."""

from textgate.errors import needing
from textgate.rows import Columns

with needing("train", "textgate.train"):
    from textgate.train.fit.config import TrainingConfig
    from textgate.train.fit.presets import PRESETS
    from textgate.train.fitting import FittedRun, fit
    from textgate.train.pretrain.pretraining import PretrainedModel, pretrain
    from textgate.train.pretrain.pretraining_config import PretrainingConfig
    from textgate.train.teach.finetuning import teach
    from textgate.train.teach.finetuning_config import FinetuningConfig

__all__ = [
    "PRESETS",
    "Columns",
    "FinetuningConfig",
    "FittedRun",
    "PretrainedModel",
    "PretrainingConfig",
    "TrainingConfig",
    "fit",
    "pretrain",
    "teach",
]
