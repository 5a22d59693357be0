"""Attacks in the text of a recipe."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.attack import HARMLESS, Corpus

# Beside the recipe there are a.pth, with all tensors of XTTS-V2, and b.pth, the same file.
SOURCES = "checkpoints: {a: a.pth, b: b.pth}\n"
OUTPUT = "output: {path: out/merged.pth}\n"
GOOD = SOURCES + OUTPUT


def said(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return path


def more(path: Path, text: str) -> Path:
    """A good recipe with more in it."""
    return said(path, GOOD + text)


def rule(path: Path, pattern: str, decision: str = "from a") -> Path:
    """A good recipe with this pattern, which may be longer than YAML lets a short key be."""
    return more(path, f"overrides:\n  ? '{pattern}'\n  : {decision}\n")


def aliases(levels: int, width: int = 10) -> str:
    """Lists of lists of lists, each of them the same one."""
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def many(count: int, line: str) -> str:
    return "".join(line.format(number) for number in range(count))


FORMS: Corpus = {
    "a billion laughs of aliases": (lambda path: more(path, aliases(9)), "aliases expand to far more"),
    "a billion laughs of mappings": (
        lambda path: more(path, aliases(9).replace("[", "{a: [").replace("]", "]}")),
        "aliases expand to far more",
    ),
    "an alias to what holds it": (lambda path: more(path, "weights: &w {a: *w}\n"), "aliases expand|alias"),
    "a chain of sixty aliases": (lambda path: said(path, aliases(60, 2)), "aliases expand to far more"),
    "the key that holds all keys": (lambda path: said(path, "&a {*a : 1}"), "a key must be text"),
    "merge keys": (lambda path: more(path, "weights: {<<: {a: 1}}\n"), "merge keys"),
    "a tag that runs Python": (
        lambda path: more(path, f"name: !!python/object/apply:os.system ['touch {path.parent}/executed']\n"),
        "tag",
    ),
    "a tag that imports": (lambda path: more(path, "name: !!python/module:antigravity\n"), "tag"),
    "a tag on a key": (lambda path: more(path, "!!python/name:os.system name: x\n"), "tag"),
    "a tag of the core schema": (lambda path: more(path, "name: !!binary aGVsbG8=\n"), "tag"),
    "a tag by a directive": (
        lambda path: said(path, "%TAG ! tag:yaml.org,2002:python/\n---\n" + GOOD + "name: !tuple []"),
        "tag",
    ),
    "a key that is there twice": (lambda path: more(path, "output: {path: /etc/passwd.pth}\n"), "is there twice"),
    "a key that is there twice, escaped": (lambda path: more(path, '"\\x6futput": {}\n'), "is there twice"),
    "lists twenty thousand deep": (lambda path: said(path, "[" * 20_000), "nested too deeply"),
    "mappings ten thousand deep": (lambda path: said(path, "{a: " * 10_000), "nested too deeply"),
    "lists deep by indentation": (lambda path: said(path, "- " * 30_000 + "x"), "nested too deeply"),
    "keys deep by question marks": (lambda path: said(path, "? " * 30_000 + "x"), "nested too deeply"),
    "a recipe of megabytes": (lambda path: said(path, b"#" * (4 << 20)), "too big for a recipe"),
    "a sparse recipe of a terabyte": (lambda path: sparse(path, 1 << 40), "too big for a recipe"),
    "a scalar as long as a recipe may be": (lambda path: more(path, f"name: {'x' * 60_000}\n"), HARMLESS),
    "a key as long as a recipe may be": (lambda path: more(path, f"? {'x' * 60_000}\n: 1\n"), "no field named"),
    "sixty thousand spaces": (lambda path: more(path, f"name:{' ' * 60_000}: x\n"), "a second ': '"),
    "sixty thousand line breaks": (lambda path: more(path, "name: >\n" + "\n" * 60_000), "empty|name"),
    "sixty thousand quotation marks": (lambda path: more(path, "name: " + "'" * 60_001), "quotation mark"),
    "ten thousand flow marks": (lambda path: more(path, "name: " + "[]" * 10_000), "YAML"),
    "thousands of anchors": (lambda path: said(path, many(4_000, "a{0}: &a{0} x\n")), "no field named"),
    "thousands of documents": (lambda path: said(path, "--- x\n" * 9_000), "several documents"),
    "UTF-16": (lambda path: said(path, GOOD.encode("utf-16")), "not UTF-8 but UTF-16"),
    "UTF-16 without a mark": (lambda path: said(path, GOOD.encode("utf-16-le")), "YAML does not allow"),
    "UTF-32": (lambda path: said(path, GOOD.encode("utf-32")), "UTF-16|UTF-8|YAML does not allow"),
    "two byte order marks": (
        lambda path: said(path, b"\xef\xbb\xbf" * 2 + GOOD.encode()),
        HARMLESS,
    ),
    "bytes that are no text": (lambda path: said(path, GOOD.encode() + b"\xff\xfe\xfd"), "not UTF-8"),
    "text over several bytes too many": (lambda path: said(path, GOOD.encode() + b"name: \xc0\xaf\n"), "not UTF-8"),
    "half a surrogate pair": (lambda path: more(path, "name: \ud800\n"), "not UTF-8"),
    "half a surrogate pair, escaped": (lambda path: more(path, 'name: "\\ud800"\n'), HARMLESS),
    "a NUL": (lambda path: more(path, "name: a\0b\n"), "YAML does not allow"),
    "escape sequences for the terminal": (lambda path: more(path, 'name: "\\e[2J\\e]0;x\\a"\n'), HARMLESS),
    "text that runs backwards": (lambda path: more(path, "nam\u202ee: x\n"), "no field named"),
    "a directive of a YAML to come": (lambda path: said(path, "%YAML 9.9\n---\n" + GOOD), "YAML"),
    "a checkpoint for a recipe": (lambda path: said(path, b"PK\x03\x04" + bytes(99)), "is a checkpoint"),
    "a program for a recipe": (lambda path: said(path, "#!/bin/sh\ntouch executed\n"), "expected a mapping"),
    "nothing": (lambda path: said(path, b""), "is empty"),
    "nothing but a null": (lambda path: said(path, "~"), "expected a mapping"),
}

NUMBERS: Corpus = {
    "a weight of sixty thousand digits": (lambda path: weights(path, "9" * 60_000), "not usable as a weight"),
    "a weight of 400 hexadecimal digits": (lambda path: weights(path, "0x" + "f" * 390), "not usable as a weight"),
    "a weight of sixty thousand decimals": (lambda path: weights(path, "0." + "3" * 60_000), "sum to"),
    "a weight of 1e999999999": (lambda path: weights(path, "1e999999999"), "not usable as a weight"),
    "a weight of 1e-999999999": (lambda path: weights(path, "1e-999999999"), "sum to"),
    "a weight that is not a number": (lambda path: weights(path, ".nan"), "not usable as a weight"),
    "a weight without end": (lambda path: weights(path, "-.inf"), "not usable as a weight"),
    "a weight that is true": (lambda path: weights(path, "true"), "expected a number"),
    "a weight in base sixty": (lambda path: weights(path, "1:30:30"), "expected a number"),
    "weights that cancel": (
        lambda path: said(path, GOOD + "normalize: true\nweights: {a: 1e6, b: -1e6}\n"),
        "sum to 0",
    ),
}


def weights(path: Path, weight: str) -> Path:
    return more(path, f"weights: {{a: {weight}, b: 0}}\n")


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


PATTERNS: Corpus = {
    "a billion braces": (lambda path: rule(path, "{a,b}" * 30), "more than 1,000 alternatives"),
    "a range to a billion": (lambda path: rule(path, "{0..999999999}"), "more than 1,000 alternatives"),
    "a range with numbers of 900 digits": (
        lambda path: rule(path, "{0.." + "9" * 900 + "}"),
        "alternatives|matches no key",
    ),
    "a range padded to a million digits": (
        lambda path: rule(path, "{" + "0" * 900 + "1..999}"),
        "more than 20,000 characters",
    ),
    "a thousand alternatives in thousands of rules": (
        lambda path: more(path, "overrides:\n" + many(2_000, "  'x{0}{{0..998}}': from a\n")),
        "alternatives",
    ),
    "as many alternatives as can be, as long as can be": (
        lambda path: more(path, "overrides:\n" + many(1, f"  '{'*a' * 8}{{{{{{0}}000..{{0}}999}}}}': from a\n")),
        "matches no key",
    ),
    "nested braces, never closed": (lambda path: rule(path, "{" * 60_000), "characters"),
    "nested braces, all closed": (lambda path: rule(path, "{a," * 15_000 + "}" * 15_000), "characters"),
    "ranges that are none": (lambda path: rule(path, "{a..b" * 12_000), "characters"),
    "nested braces of just the allowed length": (lambda path: rule(path, "{a," * 250 + "}" * 250), "matches no key"),
    "ranges that are none of just the allowed length": (lambda path: rule(path, "{a..b" * 200), "matches no key"),
    "sixty thousand brackets": (lambda path: rule(path, "[" * 60_000), "characters"),
    "a thousand brackets": (lambda path: rule(path, "[" * 1_000), "matches no key"),
    "stars that try every place": (lambda path: rule(path, "*e" * 40 + "*Z"), "matches no key"),
    "stars and question marks": (lambda path: rule(path, "*?" * 60 + "Z"), "matches no key"),
    "stars and classes": (lambda path: rule(path, "*[a-z]" * 60 + "Z"), "matches no key"),
    "nothing but stars": (lambda path: rule(path, "*" * 1_000), HARMLESS),
    "a backslash at the end": (lambda path: rule(path, "a\\"), "matches no key"),
    "a class the wrong way round": (lambda path: rule(path, "[z-a]"), "matches no key"),
    "a pattern of another language": (lambda path: rule(path, "(a+)+$|(?R)|(?{1})"), "matches no key"),
    "a pattern with a line break": (lambda path: more(path, 'overrides: {"a\\nb": from a}\n'), "matches no key"),
    "components in a billion braces": (lambda path: rule(path, "{@gpt,@mlp}" * 20), "alternatives|no component"),
    "braces within braces around components": (
        lambda path: rule(path, "{a," * 120 + "{@gp}{@gpt,@mlp}{x,y}" + "}" * 100 + "{@gpx,x}" * 2),
        "more than 20,000 characters|no component",
    ),
    "a component with a name of its own": (lambda path: rule(path, "@" + "x" * 99), "no component is named"),
    "a pattern of thousands of words": (lambda path: rule(path, many(8_000, "aa{0}.")), "characters"),
    "thousands of rules that match nothing": (
        lambda path: more(path, "overrides:\n" + many(2_000, "  'gpt.atn{0}': from a\n")),
        "matches no key",
    ),
    "a thousand rules that match everything": (
        lambda path: more(path, "overrides:\n" + many(1_000, "  '*{{x{0},}}': from a\n")),
        "decides no key",
    ),
}

NAMES: Corpus = {
    "a path with a NUL": (lambda path: sourced(path, '"a\\0.pth"'), "does not work as a path"),
    "a path that climbs out": (
        lambda path: sourced(path, "../" * 10_000 + "etc/passwd"),
        "cannot be read|not a checkpoint",
    ),
    "a path of sixty thousand letters": (lambda path: sourced(path, "x" * 60_000), "cannot be read"),
    "a path of a system's secrets": (lambda path: sourced(path, "/etc/passwd"), "not a checkpoint"),
    "a path of a device": (lambda path: sourced(path, "/dev/zero"), "is a device, pipe or socket"),
    "a path of one's own memory": (lambda path: sourced(path, "/proc/self/mem"), "cannot be read|is empty"),
    "a path with half a surrogate pair": (lambda path: sourced(path, '"\\ud800"'), "cannot be the name of a file"),
    "a path with a variable that is not set": (
        lambda path: sourced(path, "'${XTTSRECIPE_UNSET}/a.pth'"),
        "cannot be read",
    ),
    "a path that is a program": (
        lambda path: sourced(path, "'$(touch executed)`touch executed`|touch executed'"),
        "cannot be read",
    ),
    "a path that is a link": (lambda path: sourced(path, "https://example.org/model.pth"), "cannot be read"),
    "an output over a source": (lambda path: said(path, SOURCES + "output: {path: a.pth}\n"), HARMLESS),
    "an output over the recipe": (
        lambda path: said(path, SOURCES + f"output: {{path: {path.name}}}\n"),
        "suffix|does not work",
    ),
    "an output in a system's folder": (lambda path: said(path, SOURCES + "output: {path: /proc/x.pth}\n"), HARMLESS),
    "an output with a NUL": (lambda path: said(path, SOURCES + 'output: {path: "a\\0b/"}\n'), "does not work"),
    "an output of sixty thousand letters": (
        lambda path: said(path, SOURCES + f"output: {{path: {'x' * 60_000}/}}\n"),
        "vocab|config",
    ),
    "thousands of sources": (
        lambda path: said(path, "checkpoints:\n" + many(3_000, "  a{0}: a.pth\n") + OUTPUT),
        "at most",
    ),
    "a thousand names to be guessed": (
        lambda path: said(
            path, "checkpoints:\n" + many(250, "  a{0}: a.pth\n") + OUTPUT + "weights:\n" + many(1_000, "  b{0}: 1\n")
        ),
        "no source named",
    ),
    "thousands of fields": (lambda path: more(path, many(3_500, "chekpoints{0}: 1\n")), "no field named"),
    "a source named to deceive": (lambda path: said(path, "checkpoints: {__class__: a.pth}\n" + OUTPUT), HARMLESS),
    "a source that is a list of sources": (
        lambda path: said(path, "checkpoints: {a: [a.pth]}\n" + OUTPUT),
        "expected text",
    ),
    "a digest that is none": (
        lambda path: said(path, "checkpoints: {a: {path: a.pth, sha256: 0}}\n" + OUTPUT),
        "sha256",
    ),
}


def sourced(path: Path, place: str) -> Path:
    return said(path, f"checkpoints: {{a: {place}}}\n" + OUTPUT)


RECIPES: Corpus = {**FORMS, **NUMBERS, **PATTERNS, **NAMES}
