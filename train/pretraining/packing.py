"""Weights as int8 codes with one float32 scale per row: a quarter of the size."""

from __future__ import annotations

import torch

_MAX_CODE = 127
_SCALES = "/scales"  # after the name of the tensor


def packed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors with matrices as codes and scales; vectors stay as they are.

    A row of an embedding is a token, one of a recurrent layer a gate of a unit. Its scale makes
    the largest weight 127.

    Args:
        tensors: float32 tensors by name.
    """
    result = {}
    for name, tensor in tensors.items():
        if tensor.dim() != 2:
            result[name] = tensor
            continue
        scales = tensor.abs().amax(dim=1) / _MAX_CODE
        codes = (tensor / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
        result[name] = codes.clamp(-_MAX_CODE, _MAX_CODE).to(torch.int8)
        result[name + _SCALES] = scales
    return result


def unpacked(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return float32 tensors; those without codes stay as they are.

    Raises:
        ValueError: codes have no scales, or these do not fit.
    """
    result = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALES):
            continue
        result[name] = tensor
        if tensor.dtype == torch.int8:
            scales = tensors.get(name + _SCALES)
            if (
                scales is None
                or scales.dtype != torch.float32
                or scales.shape != tensor.shape[:1]
                or not torch.isfinite(scales).all()
                or bool((scales < 0).any())
            ):
                raise ValueError(f"{name} has no scales that fit its codes")
            result[name] = tensor.float() * scales[:, None]
    return result
