"""Entropy coding with integer frequencies. The only package that imports constriction."""

from gscodec.coding.bits import (
    LOGIT_UNIT,
    decision_bits,
    decision_classes,
    decode_bits,
    decode_decisions,
    encode_bits,
    encode_decisions,
    one_shares,
)
from gscodec.coding.naturals import decode_naturals, decode_table, encode_naturals, encode_table
from gscodec.coding.planes import decode_planes, encode_planes
from gscodec.coding.range_coder import FREQUENCY_BITS, Decoder, Encoder, Model, cost_in_bits
from gscodec.coding.residuals import (
    LEVELS,
    LEVELS_PER_OCTAVE,
    UNIT_LEVEL,
    Family,
    bit_costs,
    decode_fitted,
    decode_residuals,
    encode_fitted,
    encode_residuals,
    residual_bits,
)

__all__ = [
    "FREQUENCY_BITS",
    "LEVELS",
    "LEVELS_PER_OCTAVE",
    "LOGIT_UNIT",
    "UNIT_LEVEL",
    "Decoder",
    "Encoder",
    "Family",
    "Model",
    "bit_costs",
    "cost_in_bits",
    "decision_bits",
    "decision_classes",
    "decode_bits",
    "decode_decisions",
    "decode_fitted",
    "decode_naturals",
    "decode_planes",
    "decode_residuals",
    "decode_table",
    "encode_bits",
    "encode_decisions",
    "encode_fitted",
    "encode_naturals",
    "encode_planes",
    "encode_residuals",
    "encode_table",
    "one_shares",
    "residual_bits",
]
