"""Refuses pickles that are made to exhaust whoever loads them, before anything is built from them.

Python's unpickler hashes every key of a dict, and a tuple's hash walks all that is below it: a tuple doubled sixty
times never ends, one nested a million deep crashes, and a PUT to a far memo index takes sixteen bytes for each index
below it. So the opcodes are run here on a stack of costs: a value costs 1, a tuple 64 and what its elements cost.
Long text, long numbers and frozensets cost by their length, as they are compared with keys that are equal. Nothing else
that can be hashed walks what is below it (records go by identity), provided that no constructor hands out a long tuple
that it was not given as one.

Numbers that Python's hash folds together (those of 61 bits and more) cost like a tuple: a dict of nothing but such keys
compares each with all before it.
"""

from __future__ import annotations

import struct
from itertools import repeat

# Fourteen times those of a real trainer checkpoint with its optimizer. One byte may make a set, of 216 bytes.
_MAX_OPCODES = 1_000_000
_TUPLE_COST = 64
# At most 1,024 levels, and 65,472 elements; the state of Python's random numbers has 625.
_MAX_COST = 1 << 16
_MAX_HASHED = 1 << 20
# Text, bytes and numbers cost 1 for every so many bytes, as a shift.
_LENGTH_SHIFT = 8
# Numbers of so many bytes, or digits, may be beyond what Python's hash tells apart: 2**61 - 1.
_FOLDED_BYTES = 8
_FOLDED_DIGITS = 18
_FAR = "keeps a value under a number beyond that of all its values"
_COSTLY_KEYS = "has tuples, long numbers or long text for keys beyond any real checkpoint"
_UINT32 = struct.Struct("<I").unpack_from

# Opcodes (PEP 307, PEP 3154; pickletools.opcodes) that push one value and have a fixed length: that length.
_PUSHES = [0] * 256
for _code, _length in {
    "N": 1, "\x88": 1, "\x89": 1, "K": 2, "M": 3, "J": 5, "G": 9, ")": 1, "]": 1, "}": 1, "\x8f": 1,
    "\x82": 2, "\x83": 3, "\x84": 5, "\x97": 1,
}.items():  # fmt: skip
    _PUSHES[ord(_code)] = _length
# Opcodes that push one value behind a length of so many bytes.
_COUNTED = {
    ord(_code): _bytes
    for _code, _bytes in {
        "X": 4, "\x8c": 1, "\x8d": 8, "C": 1, "B": 4, "\x8e": 8, "\x96": 8, "U": 1, "T": 4,
    }.items()
}  # fmt: skip
# LONG1, LONG4: numbers behind a length of so many bytes.
_NUMBERS = {0x8A: 1, 0x8B: 4}
# Opcodes that push one value behind one or two lines of text.
_LINES = {ord("c"): 2, ord("I"): 1, ord("L"): 1, ord("F"): 1, ord("S"): 1, ord("V"): 1, ord("P"): 1}
# NEWOBJ, NEWOBJ_EX, STACK_GLOBAL take so many values and push one.
_APPLIES = {0x81: 2, 0x92: 3, 0x93: 2}
# LIST, OBJ, APPENDS, POP_MARK take all from the mark: whether they push one value for it.
_FROM_MARK = {ord("l"): 1, ord("o"): 1, ord("e"): 0, ord("1"): 0}
# DICT, SETITEMS, FROZENSET, ADDITEMS likewise, and hash every second value, or every one: whether they push, the step.
_HASHING = {ord("d"): (1, 2), ord("u"): (0, 2), 0x91: (1, 1), 0x90: (0, 1)}


def scan(data: bytes) -> None:
    """Raises ValueError for a pickle that would take far more time, stack or memory than it has bytes."""
    try:
        _scan(data)
    except (IndexError, struct.error):
        raise ValueError("ends in the middle, or takes values that are not there") from None


def _scan(data: bytes) -> None:
    pushes = _PUSHES
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[int, int] = {}  # of tuples only: all else costs 1
    memoized = numbered = False  # by MEMOIZE, by one of the PUTs
    hashed = 0  # what the keys that are tuples cost
    push, pop, cost_of = stack.append, stack.pop, memo.get
    most = min(len(data), _MAX_OPCODES)  # of values that are kept
    far = (most >> 16) + 1
    position = 0
    for _ in repeat(None, _MAX_OPCODES):
        code = data[position]
        if length := pushes[code]:
            position += length
            push(1)
        elif code == 0x72:  # LONG_BINPUT
            if data[position + 3] >= far or data[position + 4]:
                raise ValueError(_FAR)
            if stack[-1] != 1:
                (number,) = _UINT32(data, position + 1)
                memo[number] = stack[-1]
            numbered = True
            position += 5
        elif code == 0x68:  # BINGET
            push(cost_of(data[position + 1], 1))
            position += 2
        elif code == 0x28:  # MARK
            marks.append(len(stack))
            position += 1
        elif code == 0x74 or 0x85 <= code <= 0x87:  # TUPLE, TUPLE1 to TUPLE3
            start = marks.pop() if code == 0x74 else 0x84 - code
            cost = _TUPLE_COST + sum(stack[start:])
            if cost > _MAX_COST:
                raise ValueError("holds a tuple of tuples beyond any that a checkpoint has")
            del stack[start:]
            push(cost)
            position += 1
        elif code == 0x52:  # REDUCE
            pop()
            stack[-1] = 1
            position += 1
        elif code in _COUNTED:
            start = position + 1 + _COUNTED[code]
            length = int.from_bytes(data[position + 1 : start], "little")
            position = start + length
            push(1 + (length >> _LENGTH_SHIFT))
        elif code == 0x51:  # BINPERSID
            stack[-1] = 1
            position += 1
        elif code == 0x6A:  # LONG_BINGET
            push(cost_of(_UINT32(data, position + 1)[0], 1))
            position += 5
        elif code in _HASHING:
            pushing, step = _HASHING[code]
            start = marks.pop()
            keys = stack[start::step]
            hashed += sum(keys) - len(keys)
            if hashed > _MAX_HASHED:
                raise ValueError(_COSTLY_KEYS)
            stack[start:] = (1 if code == 0x64 else _TUPLE_COST + len(keys),) * pushing
            position += 1
        elif code in _FROM_MARK:
            stack[marks.pop() :] = (1,) * _FROM_MARK[code]
            position += 1
        elif code == 0x94:  # MEMOIZE
            memo[len(memo)] = stack[-1]  # all of them, for it counts
            memoized = True
            position += 1
        elif code == 0x71:  # BINPUT
            if stack[-1] != 1:
                memo[data[position + 1]] = stack[-1]
            numbered = True
            position += 2
        elif code == 0x61 or code == 0x62:  # APPEND, BUILD
            pop()
            position += 1
        elif code == 0x73:  # SETITEM
            pop()
            hashed += pop() - 1
            if hashed > _MAX_HASHED:
                raise ValueError(_COSTLY_KEYS)
            position += 1
        elif code == 0x2E:  # STOP
            break
        elif code in _LINES:
            start = position
            for _ in range(_LINES[code]):
                position = _line_end(data, position)
            position += 1
            folded = code in (0x49, 0x4C) and position - start > _FOLDED_DIGITS  # INT, LONG
            push(_TUPLE_COST if folded else 1 + (position - start >> _LENGTH_SHIFT))
        elif code in _NUMBERS:
            start = position + 1 + _NUMBERS[code]
            length = int.from_bytes(data[position + 1 : start], "little")
            position = start + length
            push((_TUPLE_COST if length >= _FOLDED_BYTES else 1) + (length >> _LENGTH_SHIFT))
        elif code == 0x80:  # PROTO
            position += 2
        elif code == 0x95:  # FRAME
            position += 9
        elif code == 0x30:  # POP
            if marks and marks[-1] == len(stack):
                marks.pop()
            else:
                pop()
            position += 1
        elif code in _APPLIES:
            del stack[-_APPLIES[code] :]
            push(1)
            position += 1
        elif code == 0x32:  # DUP
            push(stack[-1])
            position += 1
        elif code == 0x69:  # INST: two lines, and all from the mark
            position = _line_end(data, _line_end(data, position)) + 1
            stack[marks.pop() :] = (1,)
        elif code == 0x67:  # GET: a number as text
            end = _line_end(data, position)
            push(cost_of(int(data[position + 1 : end]), 1))
            position = end + 1
        elif code == 0x70:  # PUT
            end = _line_end(data, position)
            number = int(data[position + 1 : end])
            if number > most:
                raise ValueError(_FAR)
            memo[number] = stack[-1]
            numbered = True
            position = end + 1
        else:
            raise ValueError(f"has an opcode {code:#04x} that no pickle of a file has")
    else:
        raise ValueError(f"has more than {_MAX_OPCODES:,} opcodes")
    if memoized and numbered:
        raise ValueError("numbers what it keeps in two ways at once")


def _line_end(data: bytes, position: int) -> int:
    end = data.find(b"\n", position + 1)
    if end < 0:
        raise IndexError
    return end
