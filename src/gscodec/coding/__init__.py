"""Entropy coding with integer frequencies. The only package that imports constriction."""

from gscodec.coding.naturals import decode_naturals, decode_table, encode_naturals, encode_table
from gscodec.coding.range_coder import FREQUENCY_BITS, Decoder, Encoder, Model, cost_in_bits

__all__ = [
    "FREQUENCY_BITS",
    "Decoder",
    "Encoder",
    "Model",
    "cost_in_bits",
    "decode_naturals",
    "decode_table",
    "encode_naturals",
    "encode_table",
]
