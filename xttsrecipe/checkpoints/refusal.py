"""Which globals show that a pickle means to run something when it is loaded."""

from __future__ import annotations

import sys

# Where the standard library keeps what runs, imports, opens or reaches out; nothing there belongs in a checkpoint.
_REFUSED_MODULES = frozenset(
    """
    _frozen_importlib _io _pickle _posixsubprocess _socket asyncio bdb cProfile code codeop commands concurrent
    ctypes distutils doctest ensurepip fileinput ftplib gc http imaplib imp importlib inspect io linecache marshal
    mmap multiprocessing nntplib nt operator os pdb pickle pip pipes pkgutil platform poplib posix posixpath profile
    pty pydoc runpy shelve shutil signal site smtplib socket socketserver sqlite3 ssl subprocess sys sysconfig
    telnetlib tempfile test threading timeit tkinter trace types unittest urllib venv webbrowser xmlrpc zipapp
    zipfile zipimport aiohttp cloudpickle dill httpx joblib requests setuptools
    """.split()
)
_REFUSED_GLOBALS = frozenset(
    {("torch", "load"), ("torch", "save"), ("torch.serialization", "load"), ("numpy", "load"), ("numpy", "fromfile")}
)
_REFUSED_PREFIXES = (
    "torch.hub", "torch.jit", "torch._inductor", "torch._dynamo", "torch.utils.cpp_extension", "numpy.testing",
)  # fmt: skip
_HARMLESS = frozenset({("types", "SimpleNamespace"), ("threading", "Lock"), ("threading", "RLock")})


def is_refused(module: str, name: str) -> bool:
    """Whether asking for this global shows that the file means to run something.

    Nothing would be executed either way; a file that asks is not one to build a model from. From the standard library
    only classes pass (their names start with a capital), and none from the modules that run or open things.
    """
    top = module.partition(".")[0]
    if (module, name) in _HARMLESS:
        return False
    if top in _REFUSED_MODULES or (module, name) in _REFUSED_GLOBALS or module.startswith(_REFUSED_PREFIXES):
        return True
    return top in sys.stdlib_module_names and not name.rpartition(".")[2][:1].isupper()
