"""Training of classifiers, teachers and language models. Needs the extra ``train``."""

from textgate.errors import needing
from textgate.rows import Columns

with needing("train", "textgate.train"):
    from textgate.train.fit.config import TrainingConfig
    from textgate.train.fit.presets import PRESETS
    from textgate.train.fitting import FittedRun, fit
    from textgate.train.pretrain.pretraining import PretrainedModel, pretrain
    from textgate.train.pretrain.pretraining_config import PretrainingConfig
    from textgate.train.teach.finetuning import FinetunedModel, teach
    from textgate.train.teach.finetuning_config import FinetuningConfig

__all__ = [
    "PRESETS",
    "Columns",
    "FinetunedModel",
    "FinetuningConfig",
    "FittedRun",
    "PretrainedModel",
    "PretrainingConfig",
    "TrainingConfig",
    "fit",
    "pretrain",
    "teach",
]
