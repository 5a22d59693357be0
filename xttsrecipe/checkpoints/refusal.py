"""Which globals show that a pickle means to run something when it is loaded."""

from __future__ import annotations

import sys

# Where the standard library keeps what runs, imports, opens or reaches out; nothing there belongs in a checkpoint.
_REFUSED_MODULES = frozenset(
    """
    __builtin__ __builtins__ _frozen_importlib _io _pickle _posixsubprocess _socket asyncio bdb cProfile code codeop
    commands concurrent ctypes distutils doctest ensurepip fileinput ftplib gc http imaplib imp importlib inspect io
    linecache marshal mmap multiprocessing nntplib nt operator os pdb pickle pip pipes pkgutil platform poplib posix
    posixpath profile pty pydoc runpy shelve shutil signal site smtplib socket socketserver sqlite3 ssl subprocess
    sys sysconfig telnetlib tempfile test threading timeit tkinter trace types unittest urllib venv webbrowser
    xmlrpc zipapp zipfile zipimport aiohttp cloudpickle dill httpx joblib requests setuptools
    """.split()
)
_REFUSED_PREFIXES = (
    "torch.hub.", "torch.jit.", "torch.load.", "torch.save.", "torch.serialization.load.", "torch._inductor.",
    "torch._dynamo.", "torch.utils.cpp_extension.", "numpy.load.", "numpy.fromfile.", "numpy.testing.",
)  # fmt: skip
_HARMLESS = frozenset(
    {
        ("types", "SimpleNamespace"), ("threading", "Lock"), ("threading", "RLock"), ("builtins", "object"),
        ("builtins", "slice"), ("builtins", "range"), ("builtins", "type"),
    }
)  # fmt: skip


def is_refused(module: str, name: str) -> bool:
    """Whether asking for this global shows that the file means to run something.

    Nothing would be executed either way; a file that asks is not one to build a model from. From the standard library
    only classes pass (their names start with a capital), and none from the modules that run or open things.
    """
    if (module, name) in _HARMLESS:
        return False
    top = module.partition(".")[0]
    *inner, last = name.split(".")  # a name may have dots from protocol 4 on: os.system of any module that imports os
    if top in _REFUSED_MODULES or not _REFUSED_MODULES.isdisjoint(inner) or "__builtins__" in inner:
        return True
    dotted = f"{module}.{name}."
    if dotted.startswith(_REFUSED_PREFIXES):
        return True
    return top in sys.stdlib_module_names and not last[:1].isupper()
