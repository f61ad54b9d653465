"""The device to compute on."""

from __future__ import annotations

import torch

from textgate.errors import ConfigError
from textgate.messages import did_you_mean

_DEVICES = ("cpu", "cuda", "mps")


def find_device(name: str) -> torch.device:
    """Return a device that is available.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``, which is CUDA if available.

    Raises:
        ConfigError: the device is unknown or not available.
    """
    if name == "auto":
        accelerated = torch.cuda.is_available()
        return torch.device("cuda" if accelerated else "cpu")
    if name.partition(":")[0] not in _DEVICES:
        near = did_you_mean(name, (*_DEVICES, "auto"))
        raise ConfigError(f"device {name!r} is not one of {', '.join(_DEVICES)} and auto{near}")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        reason = str(problem).partition("\n")[0].partition(". ")[0]
        raise ConfigError(f"device {name!r} cannot be used here: {reason}") from None
    return device
