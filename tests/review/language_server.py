"""The real yaml-language-server over stdio, as an editor talks to it (LSP 3.17)."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .repositories import environment

_PATIENCE = 60  # seconds for an answer, on a busy machine

# No schema from the network: what a test sees comes from this project.
_SETTINGS = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}


class LanguageServer:
    """A server with one workspace folder. Its methods are what an editor asks."""

    def __init__(self, process: subprocess.Popen[bytes], settings: Mapping[str, Any]) -> None:
        self._process = process
        self._settings = {
            "yaml": {**_SETTINGS, **settings},
            "editor": {"tabSize": 2},
            "[yaml]": {},
            "http": {},
            "files": {},
        }
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.Queue[Any]] = {}
        self._diagnostics: queue.Queue[tuple[str, list[dict[str, Any]]]] = queue.Queue()
        self._versions: dict[str, int] = {}
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def open(self, file: Path, text: str) -> str:
        """The file's address, after the editor opened it with this text."""
        address = file.as_uri()
        self._versions[address] = 1
        document = {"uri": address, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return address

    def change(self, address: str, text: str) -> None:
        """The whole text is another now."""
        self._versions[address] += 1
        document = {"uri": address, "version": self._versions[address]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def diagnostics(self, address: str) -> list[dict[str, Any]]:
        """The next that the server publishes for this file."""
        while True:
            found, diagnostics = self._diagnostics.get(timeout=_PATIENCE)
            if found == address:
                return diagnostics

    def completions(self, address: str, line: int, character: int) -> dict[str, dict[str, Any]]:
        """What is offered at this place, by label."""
        found = self.request("textDocument/completion", _place(address, line, character))
        return {item["label"]: item for item in found["items"]}

    def hover(self, address: str, line: int, character: int) -> str:
        """What is shown for what stands at this place."""
        found = self.request("textDocument/hover", _place(address, line, character))
        return str(found["contents"]["value"]) if found else ""

    def request(self, method: str, params: Any) -> Any:
        """The result. Raises RuntimeError for an error, queue.Empty if there is no answer."""
        number = next(self._numbers)
        self._answers[number] = queue.Queue()
        self._send({"id": number, "method": method, "params": params})
        answer = self._answers[number].get(timeout=_PATIENCE)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        with self._sending:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream
        while line := stream.readline():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = stream.readline()
            self._receive(json.loads(stream.read(length)))

    def _receive(self, message: dict[str, Any]) -> None:
        method, number = message.get("method"), message.get("id")
        if method == "textDocument/publishDiagnostics":
            self._diagnostics.put((message["params"]["uri"], message["params"]["diagnostics"]))
        elif method is None and number in self._answers:
            self._answers[number].put(message)
        elif number is not None:
            result = None
            if method == "workspace/configuration":
                result = [self._settings.get(item["section"]) for item in message["params"]["items"]]
            self._send({"id": number, "result": result})


def _place(address: str, line: int, character: int) -> dict[str, Any]:
    return {"textDocument": {"uri": address}, "position": {"line": line, "character": character}}


@contextlib.contextmanager
def language_server(folder: Path, settings: Mapping[str, Any]) -> Iterator[LanguageServer]:
    """A server for this workspace folder, with the editor's ``yaml.…`` settings, until the block ends."""
    tools = Path(sys.prefix)
    script = tools / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    process = subprocess.Popen(
        ["node", str(script), "--stdio"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(PATH=f"{environment()['PATH']}:{tools / 'bin'}"),
    )
    with process:
        try:
            server = LanguageServer(process, settings)
            server.request("initialize", _initialization(folder))
            server.notify("initialized", {})
            yield server
            server.request("shutdown", None)
            server.notify("exit", None)
            process.wait(timeout=_PATIENCE)
        finally:
            process.kill()


def _initialization(folder: Path) -> dict[str, Any]:
    text = {
        "synchronization": {},
        "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    }
    return {
        "processId": None,
        "rootUri": folder.as_uri(),
        "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
        "capabilities": {"workspace": {"configuration": True, "workspaceFolders": True}, "textDocument": text},
    }
