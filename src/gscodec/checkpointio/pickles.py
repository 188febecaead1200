"""A pickle -> plain values, by an interpreter that cannot call anything.

Strategy: the opcodes that torch writes build dicts, lists, tuples and scalars on a stack. What
would import or call is matched against the few names below, and turned into an inert value: a
tensor into its description, an object of TorchScript into a record of its attributes. Any
other name or opcode is refused before anything is done with it.

Invariant: the work is proportional to the bytes. What was built once can be used again by
opcodes of a few bytes, so each use that takes longer for longer values is paid for by `spend`.

Source: the opcodes are those of pickletools in Python's standard library.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Callable

# dict, list, tuple, str, int, float, bool, None, `Record`, `Tensor` and, inside, `Storage`,
# `Name`, `Inert`.
Value: TypeAlias = Any

MAX_PICKLE_BYTES = 1 << 20  # a checkpoint of five networks has 3 kB
_REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
_REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
_ORDERED_DICT = "collections.OrderedDict"
# Scalars of numpy, such as learning rates beside the tensors: made into nothing.
_INERT = (
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "_codecs.encode",
)
_CALLABLE = (*_INERT, _REBUILD_TENSOR, _REBUILD_PARAMETER, _ORDERED_DICT)
_TORCHSCRIPT = "__torch__."
# Name of a storage -> bytes of an element.
STORAGE_ITEM_BYTES = {
    **dict.fromkeys(("torch.DoubleStorage", "torch.LongStorage"), 8),
    **dict.fromkeys(("torch.FloatStorage", "torch.IntStorage"), 4),
    **dict.fromkeys(("torch.HalfStorage", "torch.BFloat16Storage", "torch.ShortStorage"), 2),
    **dict.fromkeys(("torch.CharStorage", "torch.ByteStorage", "torch.BoolStorage"), 1),
}


@dataclass(frozen=True)
class Name:
    """Something that the pickle would import: ``module.attribute``, never imported."""

    text: str


@dataclass(frozen=True)
class Storage:
    """``count`` elements of type ``kind``, in the archive's member data/``key``."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides count elements. Nothing of it is checked yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class Record:
    """An object of TorchScript: the name of its class, and attributes."""

    kind: str
    attributes: dict[str, Value] = field(default_factory=dict)


class Inert:
    """What a call of `_INERT` would give; it has no value here."""


class _Mark:
    """Where the items of a tuple, list or dict begin."""


def parse_pickle(data: bytes, name: str) -> Value:
    """The value that ``data`` describes.

    Args:
        data: The pickle.
        name: Where it is from, for errors.

    Raises:
        SceneError: It is damaged, or would do more than build tensors.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise SceneError(
            f"{name}: pickle of {len(data)} bytes, expected at most {MAX_PICKLE_BYTES}"
        )
    return _Interpreter(data, name).run()


class _Interpreter:
    """The stack machine. Invariant: the stack holds only what `Value` lists, and marks."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self.at = data, name, 0
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.left = len(data)  # items and characters that may still be gone through again

    def run(self) -> Value:
        while (opcode := self.take(1)) != b".":
            step = _STEPS.get(opcode)
            if step is None:
                self.refuse(f"opcode {opcode!r}, expected only those that torch writes")
            step(self)
        value = self.pop()
        if self.stack:
            self.refuse(f"{len(self.stack)} values left over at its end")
        return value

    def refuse(self, what: str) -> NoReturn:
        raise SceneError(f"{self.name}: pickle, byte {self.at}: found {what}")

    def spend(self, size: int) -> None:
        """Pays for going through ``size`` items; each was written with a byte or more."""
        self.left -= size
        if self.left < 0:
            self.refuse("the same values used over and over, expected each about once")

    # Bytes of the pickle.

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        if len(part) < size:
            self.refuse("its end, inside an opcode; truncated")
        self.at += size
        return part

    def number(self, code: str) -> Any:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            self.refuse("its end, inside a line; truncated")
        line = self.take(end - self.at)
        self.at += 1
        return self.text(line)

    def text(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.refuse("text that is not UTF-8")

    def long(self, size: int) -> None:
        if size > 8:
            self.refuse(f"a number of {size} bytes, expected at most 8")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    # The stack.

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def pop(self) -> Value:
        if not self.stack or self.stack[-1] is _Mark:
            self.refuse("an opcode that takes more than the stack holds")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Value]:
        items: list[Value] = []
        while self.stack and self.stack[-1] is not _Mark:
            items.append(self.stack.pop())
        if not self.stack:
            self.refuse("the end of a list without its beginning")
        self.stack.pop()
        return items[::-1]

    def pop_tuple(self, size: int) -> None:
        self.push(tuple([self.pop() for _ in range(size)][::-1]))

    def pop_of(self, kind: type, what: str) -> Value:
        value = self.pop()
        if not isinstance(value, kind):
            self.refuse(f"{_describe(value)}, expected {what}")
        return value

    # Containers.

    def set_items(self, items: list[Value]) -> None:
        target = self.pop_of(dict, "a dict to put items into")
        if len(items) % 2:
            self.refuse("a dict with a key that has no value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                self.refuse(f"{_describe(key)} as a key, expected text or a number")
            target[key] = value
        self.push(target)

    def append(self, items: list[Value]) -> None:
        target = self.pop_of(list, "a list to append to")
        target.extend(items)
        self.push(target)

    def remember(self, index: int) -> None:
        value = self.pop()
        self.memo[index] = value
        self.push(value)

    def recall(self, index: int) -> None:
        if index not in self.memo:
            self.refuse(f"memo {index}, which is not there")
        self.push(self.memo[index])

    # What would import and call.

    def name_of(self, module: str, attribute: str) -> None:
        self.spend(len(module) + len(attribute))
        text = f"{module}.{attribute}"
        known = text in _CALLABLE or text in STORAGE_ITEM_BYTES
        if not known and not text.startswith(_TORCHSCRIPT):
            self.refuse(f"{text[:80]!a}; it is not run, and only tensors are read")
        self.push(Name(text))

    def named_on_stack(self) -> None:
        attribute = self.pop_of(str, "the name of a class")
        self.name_of(self.pop_of(str, "the name of a module"), attribute)

    def make_record(self) -> None:
        arguments = self.pop_of(tuple, "arguments")
        kind = self.pop_of(Name, "a class").text
        if not kind.startswith(_TORCHSCRIPT) or arguments:
            self.refuse(f"an object of {kind[:80]!a}, expected a module of TorchScript")
        self.push(Record(kind))

    def build(self) -> None:
        state, target = self.pop(), self.pop()
        if isinstance(target, Inert):
            self.push(target)
            return
        if not isinstance(state, dict):
            self.refuse(f"{_describe(state)} as state, expected a dict")
        self.spend(len(state))
        if isinstance(target, Record):
            target.attributes.update(state)
        elif not isinstance(target, dict):  # of a dict, state is what torch calls _metadata
            self.refuse(f"the state of {_describe(target)}, expected a module or a dict")
        self.push(target)

    def reduce(self) -> None:
        arguments = self.pop_of(tuple, "arguments")
        called = self.pop_of(Name, "the name of a function").text
        self.spend(sum(len(part) for part in arguments[:4] if isinstance(part, tuple)))
        match called, arguments:
            case str(n), () if n == _ORDERED_DICT:
                self.push({})
            case str(n), _ if n in _INERT:
                self.push(Inert())
            case str(n), (Tensor() as tensor, *_) if n == _REBUILD_PARAMETER:
                self.push(tensor)
            case str(n), (
                Storage() as storage,
                int(offset),
                tuple(shape),
                tuple(strides),
                *_,
            ) if n == _REBUILD_TENSOR and all(type(s) is int for s in (*shape, *strides)):
                self.push(Tensor(storage, offset, shape, strides))
            case _:
                self.refuse(
                    f"a call of {called[:80]!a} with arguments that torch does not give"
                )

    def storage(self) -> None:
        match self.pop():
            case ("storage", Name(text=kind), str(key), str(), int(count)) if (
                kind in STORAGE_ITEM_BYTES
            ):
                self.push(Storage(kind, key, count))
            case other:
                self.refuse(f"{_describe(other)} as a reference, expected a storage of torch")


def _describe(value: Value) -> str:
    """For errors: contents are not shown, they may be endless."""
    if isinstance(value, Name):
        return f"the name {value.text[:80]!a}"
    return f"a value of type {type(value).__name__}"


_STEPS: dict[bytes, Callable[[_Interpreter], None]] = {
    b"\x80": lambda m: None if m.number("<B") <= 5 else m.refuse("a protocol above 5"),
    b"\x95": lambda m: m.number("<Q"),  # FRAME: its length is a hint only
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.long(m.number("<B")),
    b"G": lambda m: m.push(m.number(">d")),
    b"X": lambda m: m.push(m.text(m.take(m.number("<I")))),
    b"\x8c": lambda m: m.push(m.text(m.take(m.number("<B")))),
    b"(": lambda m: m.push(_Mark),
    b")": lambda m: m.push(()),
    b"]": lambda m: m.push([]),
    b"}": lambda m: m.push({}),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.pop_tuple(1),
    b"\x86": lambda m: m.pop_tuple(2),
    b"\x87": lambda m: m.pop_tuple(3),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_to_mark()),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"c": lambda m: m.name_of(m.line(), m.line()),
    b"\x93": _Interpreter.named_on_stack,
    b"\x81": _Interpreter.make_record,
    b"b": _Interpreter.build,
    b"R": _Interpreter.reduce,
    b"Q": _Interpreter.storage,
}
