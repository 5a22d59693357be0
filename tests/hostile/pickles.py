"""Attacks in the data.pkl of a torch zip file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.checkpoints.crafted import (
    call,
    dictionary,
    find,
    find_on_stack,
    forge,
    laughs,
    member,
    number,
    program,
    short_bytes,
    storage,
    tensor,
    text,
    with_entry,
    zip_checkpoint,
)
from tests.hostile.attack import HARMLESS, Corpus

MiB = 1 << 20


def pickled(path: Path, data: bytes, *, deflated: bool = False) -> Path:
    """A checkpoint with this data.pkl."""
    return zip_checkpoint(path, data, compression=zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)


def entry(path: Path, value: bytes) -> Path:
    """A good checkpoint but for its "entry", of protocol 4."""
    return pickled(path, b"\x80\x04" + with_entry(value)[2:])


def one(path: Path, of: bytes) -> Path:
    """A checkpoint of one tensor."""
    return pickled(path, program(dictionary({"w": of})))


def touch(path: Path) -> bytes:
    """The text of a command that would leave a trace."""
    return text(f"touch {path.parent / 'executed'}")


def write(path: Path) -> bytes:
    """The text of a Python program that would leave a trace."""
    return text(f"open({str(path.parent / 'executed')!r}, 'w')")


def kept(value: bytes, number: int = 5) -> bytes:
    """Puts a value aside, to be pushed by ``h`` and its number."""
    return value + bytes([0x71, number]) + b"0"


def items(*values: bytes) -> bytes:
    """A list of these."""
    return b"](" + b"".join(values) + b"e"


WIDE = b"(" + b"K\x01" * 60_000 + b"t"
SYSTEM = find("os", "system")
EXECUTING: Corpus = {
    "os.system by GLOBAL and REDUCE": (lambda path: entry(path, call(SYSTEM, touch(path))), r"asks to run os\.system"),
    "posix.system by STACK_GLOBAL": (
        lambda path: entry(path, call(find_on_stack("posix", "system"), touch(path))),
        r"asks to run posix\.system",
    ),
    "os.system by INST": (lambda path: entry(path, b"(" + touch(path) + b"ios\nsystem\n"), r"asks to run os\.system"),
    "os.system by OBJ": (lambda path: entry(path, b"(" + SYSTEM + touch(path) + b"o"), r"asks to run os\.system"),
    "subprocess.Popen by NEWOBJ": (
        lambda path: entry(path, find("subprocess", "Popen") + touch(path) + b"\x85\x81"),
        r"asks to run subprocess\.Popen",
    ),
    "subprocess.Popen by NEWOBJ_EX": (
        lambda path: entry(path, find("subprocess", "Popen") + touch(path) + b"\x85}\x92"),
        r"asks to run subprocess\.Popen",
    ),
    "eval under Python 2's name": (
        lambda path: pickled(path, with_entry(call(find("__builtin__", "eval"), write(path)))),
        r"asks to run (__builtin__|builtins)\.eval",
    ),
    "exec reached through another module": (
        lambda path: entry(path, call(find_on_stack("acme", "__builtins__.exec"), write(path))),
        r"asks to run acme\.__builtins__\.exec",
    ),
    "import by importlib": (
        lambda path: entry(path, call(find("importlib", "import_module"), text("antigravity"))),
        r"asks to run importlib\.import_module",
    ),
    "torch.load of another file": (
        lambda path: entry(path, call(find("torch.serialization", "load"), text("/etc/passwd"))),
        r"asks to run torch\.serialization\.load",
    ),
    "a module that does harm when imported": (
        lambda path: entry(path, call(find("antigravity", "Thing"))),
        HARMLESS,
    ),
    "a class of a package that is installed": (
        lambda path: entry(path, call(find("jsonschema.validators", "Draft7Validator"), b"}")),
        HARMLESS,
    ),
    "__setstate__ of a foreign class by BUILD": (
        lambda path: entry(path, call(find("acme", "Thing")) + b"}" + text("__class__") + touch(path) + b"sb"),
        HARMLESS,
    ),
    "state set on one of our own callables": (
        lambda path: entry(path, find("torch._utils", "_rebuild_tensor_v2") + b"}" + text("__code__") + b"Nsb"),
        "damaged",
    ),
    "__reduce__ as the attribute of a class": (
        lambda path: entry(path, call(find_on_stack("acme", "Thing.__reduce__"), touch(path))),
        HARMLESS,
    ),
    "subclasses of object": (
        lambda path: entry(path, call(find_on_stack("builtins", "object.__subclasses__"))),
        "asks to run|damaged",
    ),
    "a storage that is a call": (
        lambda path: one(path, tensor(b"(" + text("storage") + call(SYSTEM, touch(path)) + text("0") + b"NK\x04tQ")),
        r"asks to run os\.system",
    ),
    "an extension code": (lambda path: entry(path, b"\x82\x01"), "damaged"),
    "an extension code of four bytes": (lambda path: entry(path, b"\x84\xff\xff\xff\x7f"), "damaged"),
    "a codec to import": (
        lambda path: entry(path, call(find("_codecs", "encode"), text("x"), text("antigravity"))),
        "bytes in the encoding",
    ),
    "a persistent id of no known form": (
        lambda path: one(path, tensor(text("module") + b"Q")),
        "storage reference of an unknown form",
    ),
    "a persistent id as text": (
        lambda path: one(path, tensor(b"Pos.system\n")),
        "storage reference of an unknown form",
    ),
    "a buffer from elsewhere": (lambda path: entry(path, b"\x97"), "damaged"),
}

GROWING: Corpus = {
    "a zip bomb of empty lists": (lambda path: pickled(path, b"\x80\x02" + b"]" * 60 * MiB, deflated=True), "data.pkl"),
    "a zip bomb of sets": (lambda path: pickled(path, b"\x80\x04" + b"\x8f" * 15 * MiB, deflated=True), "data.pkl"),
    "a zip bomb of text": (
        lambda path: pickled(path, with_entry(text("x" * 60 * MiB)), deflated=True),
        "data.pkl of 62,914,",
    ),
    "a data.pkl of gigabytes": (
        lambda path: forge(path, member("data.pkl", bytes(MiB), {"method": 8}, central={"size": 3 << 30})),
        "data.pkl of 3,221,225,472",
    ),
    "a billion laughs of tuples": (lambda path: entry(path, laughs()), "tuple of tuples"),
    "a billion laughs of lists": (
        lambda path: entry(path, b"]q\x00" + b"0(h\x00h\x00lq\x00" * 60),
        "nested too deeply, too large, or refers to itself",
    ),
    "a tuple a million deep": (lambda path: entry(path, b")" + b"\x85" * 900_000), "tuple of tuples"),
    "a list half a million deep": (
        lambda path: entry(path, b"]" * 400_000 + b"a" * 399_999),
        "nested too deeply, too large, or refers to itself",
    ),
    "a dict that holds itself": (lambda path: entry(path, b"}q\x05" + text("me") + b"h\x05s"), "refers to itself"),
    "a far memo index": (lambda path: entry(path, b"Nr\xff\xff\xff\x7f"), "number beyond that of all its values"),
    "a far memo index as text": (lambda path: entry(path, b"Np999999999999\n"), "number beyond that of all its values"),
    "a memo index as far as the file is long": (
        lambda path: entry(path, text("x" * 14 * MiB) + b"r" + (12 << 20).to_bytes(4, "little")),
        "number beyond that of all its values",
    ),
    "a million sets": (lambda path: entry(path, items(b"\x8f" * 990_000)), "too large"),
    "three hundred thousand objects": (
        lambda path: entry(path, kept(find("acme", "T")) + items(b"h\x05)\x81" * 300_000)),
        "too large",
    ),
    "a text of a few wide characters": (lambda path: entry(path, text("x" * 15 * MiB + "\U0001f600")), HARMLESS),
    "a length of 2**63": (lambda path: entry(path, b"\x8d" + (2**63 - 1).to_bytes(8, "little")), "damaged"),
    "a negative length": (lambda path: entry(path, b"\x8b\xff\xff\xff\xff"), "damaged"),
    "a frame of 2**62 bytes": (lambda path: entry(path, b"\x95" + (2**62).to_bytes(8, "little") + b"N"), "damaged"),
    "bytes of a number's size": (lambda path: entry(path, call(find("builtins", "bytes"), number(2**40))), HARMLESS),
    "a list of a range": (
        lambda path: entry(path, call(find("builtins", "list"), call(find("builtins", "range"), number(2**40)))),
        "damaged",
    ),
    "a long list copied again and again": (
        lambda path: entry(path, kept(items(b"N" * 100_000)) + items(call(find("builtins", "list"), b"h\x05") * 5_000)),
        "copies of copies",
    ),
    "long arguments again and again": (
        lambda path: entry(path, kept(WIDE) + items((find("collections", "defaultdict") + b"h\x05R") * 9_000)),
        "copies of copies",
    ),
    "long arguments of new objects": (
        lambda path: entry(path, kept(WIDE) + kept(find("acme", "T"), 6) + items(b"h\x06h\x05\x81" * 90_000)),
        "copies of copies",
    ),
    "long keyword arguments of new objects": (
        lambda path: entry(
            path,
            kept(b"}(" + b"".join(text(str(name)) + b"N" for name in range(50_000)) + b"u")
            + items((find("acme", "T") + b")h\x05\x92") * 9_000),
        ),
        "copies of copies",
    ),
    "a hundred thousand classes": (
        lambda path: entry(path, b"".join(b"cm\n%d\n0" % name for name in range(100_000)) + b"N"),
        "classes",
    ),
    "one long list under many names": (
        lambda path: pickled(
            path,
            program(
                b"]q\x00"
                + b"0(h\x00h\x00lq\x00" * 18
                + b"0"
                + dictionary({"model": dictionary({"w": tensor()}), **{f"e{n}": b"h\x00" for n in range(5_000)}})
            ),
        ),
        "nested too deeply, too large, or refers to itself",
    ),
    "a class whose name is as long as the file": (
        lambda path: entry(path, find("acme", "T" * 4 * MiB)),
        "name",
    ),
    "a tensor whose name is as long as the file": (
        lambda path: pickled(path, program(dictionary({"w" * 4 * MiB: tensor()}))),
        "name",
    ),
    "sixty thousand names for one tensor": (
        lambda path: pickled(
            path, program(kept(tensor()) + b"}(" + b"".join(text(str(n)) + b"h\x05" for n in range(60_000)) + b"u")
        ),
        "tensors",
    ),
}

ENDLESS: Corpus = {
    "a number of a million bytes as a key, again and again": (
        lambda path: entry(path, kept(number(2 ** (8 * MiB))) + b"}(" + b"h\x05N" * 300_000 + b"u"),
        "for keys",
    ),
    "keys with one hash": (
        lambda path: entry(path, b"}(" + b"".join(number(n * (2**61 - 1)) + b"N" for n in range(1, 300_000)) + b"u"),
        "for keys",
    ),
    "keys with one hash, spelled out": (
        lambda path: entry(path, b"}(" + b"".join(b"L%dL\nN" % (n * (2**61 - 1)) for n in range(1, 200_000)) + b"u"),
        "for keys",
    ),
    "two long texts that are equal, as keys in turn": (
        lambda path: entry(
            path, kept(text("x" * 2 * MiB), 5) + kept(text("x" * 2 * MiB), 6) + b"}(" + b"h\x05Nh\x06N" * 99_000 + b"u"
        ),
        "for keys",
    ),
    "two large frozensets that are equal, as keys in turn": (
        lambda path: entry(
            path,
            kept(b"(" + b"".join(number(n) for n in range(99_999)) + b"\x91", 5)
            + kept(b"(" + b"".join(number(n) for n in range(99_999)) + b"\x91", 6)
            + b"}("
            + b"h\x05Nh\x06N" * 99_000
            + b"u",
        ),
        "for keys|tuple of tuples",
    ),
    "a long torch.Size as a key, again and again": (
        lambda path: entry(
            path,
            kept(call(find("torch", "Size"), items(b"K\x01" * 300_000))) + b"}(" + b"h\x05N" * 200_000 + b"u",
        ),
        "size",
    ),
    "a number in a rare base": (
        lambda path: entry(
            path,
            kept(call(find("builtins", "int"), text("z" * MiB), b"K\x20")) + b"}(" + b"h\x05N" * 99_000 + b"u",
        ),
        "damaged",
    ),
    "a decimal number of a million digits": (
        lambda path: entry(path, b"L" + b"9" * MiB + b"L\n"),
        "damaged",
    ),
    "a key of twenty thousand bits": (lambda path: entry(path, b"}" + number(2**20_000) + b"Ns"), HARMLESS),
    "complex numbers with one hash": (
        lambda path: entry(
            path,
            b"}("
            + b"".join(find("builtins", "complex") + b"(F%d\nF%d\ntRN" % (-1000003 * n, n) for n in range(20_000))
            + b"u",
        ),
        HARMLESS,
    ),
}

TENSORS: Corpus = {
    "a tensor of 2**40 elements that are one": (
        lambda path: one(path, tensor(shape=number(2**40) + b"\x85", strides=b"K\x00\x85")),
        "elements",
    ),
    "a tensor of a billion elements in 16 bytes": (
        lambda path: one(path, tensor(shape=number(10**9) + b"\x85")),
        "reaches beyond its storage",
    ),
    "a shape whose product wraps to 4": (
        lambda path: one(
            path, tensor(shape=number(2**32) + number(2**32) + b"K\x04\x87", strides=b"K\x00K\x00K\x01\x87")
        ),
        "damaged",
    ),
    "sixty-five dimensions": (
        lambda path: one(path, tensor(shape=b"(" + b"K\x01" * 65 + b"t", strides=b"(" + b"K\x01" * 65 + b"t")),
        "sizes, strides or an offset that no tensor has",
    ),
    "a negative offset": (lambda path: one(path, tensor(start=number(-1))), "sizes, strides or an offset"),
    "a negative stride": (lambda path: one(path, tensor(strides=number(-1) + b"\x85")), "sizes, strides or an offset"),
    "a negative size": (lambda path: one(path, tensor(shape=number(-4) + b"\x85")), "sizes, strides or an offset"),
    "an offset beyond the storage": (lambda path: one(path, tensor(start=number(2**40))), "reaches beyond its storage"),
    "a stride that leaves the storage": (
        lambda path: one(path, tensor(strides=number(2**40) + b"\x85")),
        "reaches beyond its storage",
    ),
    "true for a size": (lambda path: one(path, tensor(shape=b"\x88\x85")), "sizes, strides or an offset"),
    "a size that is a float": (
        lambda path: one(path, tensor(shape=b"G@\x10\x00\x00\x00\x00\x00\x00\x85")),
        "sizes, strides or an offset",
    ),
    "more strides than sizes": (
        lambda path: one(path, tensor(strides=b"K\x01K\x01\x86")),
        "sizes, strides or an offset",
    ),
    "a storage that is not there": (lambda path: one(path, tensor(storage(key="1"))), "data/1 is missing"),
    "a storage named by a path": (
        lambda path: one(path, tensor(storage(key="../../../../etc/passwd"))),
        "data/../../../../etc/passwd is missing",
    ),
    "a storage named with a NUL": (lambda path: one(path, tensor(storage(key="0\0x"))), "is missing"),
    "a storage of a type that is a number": (lambda path: one(path, tensor(storage(b"K\x01"))), "unknown form"),
    "fields of a tensor set afterwards": (
        lambda path: one(path, tensor() + items(storage(), b"N", number(-1), b")", b")") + b"b"),
        "damaged",
    ),
    "a tensor for its own storage": (lambda path: one(path, tensor(tensor())), "without a storage"),
    "a tensor in a scalar's clothes": (
        lambda path: entry(
            path,
            call(find("numpy.core.multiarray", "scalar"), call(find("numpy", "dtype"), text("f8")), short_bytes(b"1")),
        ),
        "damaged",
    ),
    "a state dict that holds itself": (
        lambda path: pickled(path, program(b"}q\x05(" + text("w") + tensor() + text("me") + b"h\x05u")),
        HARMLESS,
    ),
    "two tensors of one name": (
        lambda path: pickled(path, program(b"}(" + (text("w") + tensor()) * 2 + b"u")),
        HARMLESS,
    ),
    "names that move the cursor": (
        lambda path: pickled(path, program(dictionary({"\x1b[2J\x1b]0;x\x07\u202e": tensor()}))),
        HARMLESS,
    ),
    "a name with half a surrogate pair": (
        lambda path: pickled(path, program(b"}(" + b"X\x03\0\0\0\xed\xa0\x80" + tensor() + b"u")),
        HARMLESS,
    ),
    "a name that is a number of twenty thousand bits": (
        lambda path: pickled(path, program(b"}(" + number(2**20_000) + tensor() + b"u")),
        "names that are text",
    ),
}

TORN: Corpus = {
    "an empty data.pkl": (lambda path: pickled(path, b""), "damaged"),
    "a data.pkl without an end": (lambda path: pickled(path, with_entry(b"N")[:-1]), "damaged"),
    "a data.pkl that gives nothing": (lambda path: pickled(path, b"\x80\x02."), "damaged"),
    "a data.pkl that takes what is not there": (lambda path: pickled(path, b"\x80\x02R."), "damaged"),
    "a protocol of the future": (lambda path: pickled(path, b"\x80\xff" + with_entry(b"N")[2:]), "damaged"),
    "two data.pkl in one": (
        lambda path: pickled(path, with_entry(b"N") + with_entry(call(SYSTEM, touch(path)))),
        HARMLESS,
    ),
    "two ways to number what is kept": (lambda path: entry(path, b"N\x94q\x00"), "two ways at once"),
}

PICKLES: Corpus = {**EXECUTING, **GROWING, **ENDLESS, **TENSORS, **TORN}
