"""Bits of rounded values under the laws that code them, as torch sees them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gscodec.coding import Family
from gscodec.fit.sensitivity import BIT_PRICE

SMALLEST_SIGMA = 2.0**-4.5  # of a step: the first table level


class _GaussianBits(torch.autograd.Function):
    """Bits of [value - 1/2, value + 1/2] under a normal law; gradients in closed form."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, sigma: Tensor) -> Tensor:
        """Bits, elementwise; outliers pull, but not without limit."""
        sigma = sigma.clamp_min(SMALLEST_SIGMA)
        size = value.abs()
        low, high = (size - 0.5) / sigma, (size + 0.5) / sigma
        mass = (torch.special.ndtr(-low) - torch.special.ndtr(-high)).clamp_min(2.0**-20)
        density_low, density_high = density(low), density(high)
        slope = (density_low - density_high) / mass
        by_sigma = (high * density_high - low * density_low) / mass
        nats = -torch.log(mass)
        # Beyond four deviations the density of the near edge stands for all the mass.
        far = low > 4
        edge = low.clamp(4, 8)
        nats = torch.where(far, 0.5 * low * edge + torch.log(edge) + 0.92, nats)
        slope = torch.where(far, edge, slope)
        by_sigma = torch.where(far, -edge * edge, by_sigma)
        inverse = 1 / (math.log(2) * sigma)
        ctx.save_for_backward(slope * torch.sign(value) * inverse, by_sigma * inverse)
        return nats / math.log(2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Chain rule with the saved derivatives."""
        by_value, by_sigma = ctx.saved_tensors
        return grads[0] * by_value, grads[0] * by_sigma


def density(z: Tensor) -> Tensor:
    """Of a normal law of deviation one."""
    return torch.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


class _LaplaceBits(torch.autograd.Function):
    """Bits of [value - 1/2, value + 1/2] under a Laplace law; gradients in closed form."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, sigma: Tensor) -> Tensor:
        """Bits, elementwise."""
        rate = math.sqrt(2) / sigma.clamp_min(SMALLEST_SIGMA)
        size = value.abs()
        # Around the peak: mass = 1 - e**(-rate / 2) cosh(rate * size).
        near, far = torch.exp(rate * (size - 0.5).clamp_max(0)), torch.exp(-rate * (size + 0.5))
        mass = (1 - 0.5 * (near + far)).clamp_min(1e-9)
        # Beside it, in logarithms: the mass itself may underflow.
        shrink = torch.exp(-rate)
        beside = rate * (size - 0.5) + math.log(2) - torch.log1p(-shrink)
        inside = size < 0.5
        nats = torch.where(inside, -torch.log(mass), beside)
        slope = torch.where(inside, 0.5 * rate * (near - far) / mass, rate)
        by_rate = torch.where(
            inside,
            (0.5 * (size - 0.5) * near - 0.5 * (size + 0.5) * far) / mass,
            size - 0.5 - shrink / (1 - shrink),
        )
        by_sigma = by_rate * -(rate * rate) / math.sqrt(2)
        ctx.save_for_backward(slope * torch.sign(value), by_sigma)
        return nats / math.log(2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Chain rule with the saved derivatives, which are in nats."""
        by_value, by_sigma = ctx.saved_tensors
        grad = grads[0] / math.log(2)
        return grad * by_value, grad * by_sigma


def bits(family: Family, value: Tensor, sigma: Tensor) -> Tensor:
    """Bits of ``value`` (elementwise) under ``family`` with deviation ``sigma``, in steps."""
    law = _LaplaceBits if family is Family.LAPLACE else _GaussianBits
    result: Tensor = law.apply(value, sigma)  # type: ignore[no-untyped-call]
    return result


def step_cost(log2_step: Tensor, log2_ideal: Tensor, log2_spread: Tensor) -> Tensor:
    """Bits, and error in bits, that depend on the steps, elementwise.

    A value of deviation sigma behind a step takes R = log2(1 + 12 sigma**2 / step**2) / 2 bits
    and leaves D = step**2 / 12 of squared error, but not more than sigma**2. Where the ideal
    step is uncertain this weighs sensitive values more, as a squared error of logs would not.
    """
    fine = torch.exp2(2 * (log2_spread - log2_step)) * 12
    rate = 0.5 * torch.log2(1 + fine)
    error = torch.exp2(2 * (log2_step - log2_ideal)) / (12 * BIT_PRICE) * (fine / (1 + fine))
    return rate + error


def cheapest(family: Family, residual: Tensor, sigma: Tensor, price: Tensor) -> Tensor:
    """The cheapest of the nearest integer, the next one towards zero, and zero.

    ``price`` is what a bit costs in squared steps. The saving is that of the density, close
    enough for training.
    """
    size = residual.abs()
    whole = torch.round(size)
    if family is Family.LAPLACE:
        one = (math.sqrt(2) / math.log(2)) / sigma
        saved, saved_all = one, one * whole
    else:
        saved = (whole - 0.5) / (math.log(2) * sigma**2)
        saved_all = whole**2 / (2 * math.log(2) * sigma**2)
    gain = price * saved - (2 * (size - whole) + 1)
    gain_all = price * saved_all - (size**2 - (size - whole) ** 2)
    some = whole > 0
    kept = torch.where(some & (gain > 0), whole - 1, whole)
    kept = torch.where(some & (gain_all > gain.clamp_min(0)), torch.zeros_like(kept), kept)
    return torch.sign(residual) * kept
