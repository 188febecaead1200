"""What an encoder learns, and what baking does; with `render`, all that imports torch.

Decoding needs none of it. One exception: a checkpoint whose networks were TorchScript is
written as TorchScript again (`checkpointio.traces`), which only torch can do.
"""
