"""Training of classifiers, teachers and language models. Needs the extra ``train``."""

from textgate.errors import needing
from textgate.rows import Columns

with needing("train", "textgate.train"):
    from textgate.train.curve import LearningCurve, learning_curve
    from textgate.train.fitting import FittedRun, fit
    from textgate.train.pretraining.pretrain import PretrainedModel, pretrain
    from textgate.train.pretraining.pretraining_config import PretrainingConfig
    from textgate.train.teaching.finetuning import FinetunedModel, teach
    from textgate.train.teaching.finetuning_config import FinetuningConfig
    from textgate.train.training.config import TrainingConfig
    from textgate.train.training.presets import PRESETS
    from textgate.train.tune import tune

__all__ = [
    "PRESETS",
    "Columns",
    "FinetunedModel",
    "FinetuningConfig",
    "FittedRun",
    "LearningCurve",
    "PretrainedModel",
    "PretrainingConfig",
    "TrainingConfig",
    "fit",
    "learning_curve",
    "pretrain",
    "teach",
    "tune",
]
