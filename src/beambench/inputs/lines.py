"""Lines of text as elements: sentences, prompts and table rows, read from a file or made.

An element is one line, in UTF-8 whatever the file is in, if that has a byte-order mark. A line
that is no UTF-8 or has no word fails as an element, by name. Its id is the number of its line.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random

from beambench.definition.text_encoding import problem_of
from beambench.errors import UsageError
from beambench.inputs.compression import without_suffix
from beambench.inputs.text import content_of

TYPES = ("sentences", "prompts", "rows")
EXPECTED = "a text file with one element on each line"
COLUMNS = ".tsv"
"""In such a file the first column is the element, as in SST-2: sentence, tab, label."""
TABLE = ".csv"
HEADERS = frozenset((b"sentence", b"sentence1", b"text", b"prompt", b"question", b"review"))
"""First columns of public data sets by name, in lower case."""
MOST_NULS = 0.1
"""Share of NUL bytes above which a file is no text; a stray one is what tokenizers clean away."""

SENTENCE = re.compile(r"[A-Z][A-Za-z0-9 ,.;:'\"()?!-]+[.?!]")
SENTENCE_WORDS = range(5, 41)
PROMPT_WORDS = range(6, 16)
# Words a sentence, mean and standard deviation: those of SST-2.
SYNTHETIC_LENGTH = (19.0, 9.0)
VOCABULARY = """
a about above after again air all also an and animal another answer are around as ask at away
back be because been before began being best between big book both boy but by call came can
change children city close come could country cut day did different do does door down each earth
eat end even every example eye face family far father few find first follow food for form found
four from garden gave get girl give go good great group grow had half hand hard has have he head
hear help her here high him his home house how idea if important in into is
"""
WORDS = VOCABULARY.split()


def read_file(source: str) -> list[tuple[str, bytes]]:
    """Return line number and content, in UTF-8, of every line that is not empty.

    Raises:
        UsageError: the file cannot be read, is no text, or holds no such line.
    """
    lines = content_of(source, EXPECTED, MOST_NULS).splitlines()
    if _has_suffix(source, COLUMNS):
        lines = [line.partition(b"\t")[0] for line in lines]
    elements = [(str(number), line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not elements:
        raise UsageError(f"{source}: has no line that is not empty: expected {EXPECTED}")
    if all(problem_of(line) is not None for _, line in elements):  # ends at the first that is text
        number, line = elements[0]
        raise UsageError(
            f"{source}: line {number} is {problem_of(line)}, and so are all others: save the file "
            f"as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8 {shlex.quote(source)}"
        )
    return elements


def _has_suffix(source: str, suffix: str) -> bool:
    return without_suffix(source).lower().endswith(suffix)


def warnings_of(
    source: str,
    elements: Sequence[tuple[str, bytes]],
    type: str,  # noqa: A002
) -> list[str]:
    """Warn of lines that are not UTF-8, and of sentences that seem to hold more than a text."""
    warnings = [] if type == "rows" else _not_text_alone(source, elements)
    wrong = [element for element in elements if problem_of(element[1]) is not None]
    if not wrong:
        return warnings
    number, line = wrong[0]
    return [
        *warnings,
        f"{source}: {len(wrong)} of {len(elements)} lines not UTF-8 text, the first is line "
        f"{number}: {problem_of(line)}: they will be failed elements",
    ]


def _not_text_alone(source: str, elements: Sequence[tuple[str, bytes]]) -> list[str]:
    """Warn of tables and JSON, which a model would be given with commas, quotes and keys."""
    number, line = elements[0]
    if _has_suffix(source, TABLE):
        return [
            f"{source}: is not read as a table: each line is one sentence, a header and all columns"
            f" too ({line[:80].decode(errors='replace')!r}): save the texts alone as .txt, or with"
            " tabs as .tsv, whose first column is read"
        ]
    if _is_json(line):
        return [
            f"{source}: its lines are JSON ({line[:80].decode(errors='replace')!r}) and are taken"
            " as they are: save the texts alone, one on each line"
        ]
    if number == "1" and _has_suffix(source, COLUMNS) and line.lower() in HEADERS:
        return [
            f"{source}: line 1 ({line.decode()!r}) seems to be a header, but is an element as any"
            " other: remove it"
        ]
    return []


def _is_json(line: bytes) -> bool:
    """Tell whether a line is an object of JSON, or begins a document that is a list of some."""
    content = line.removeprefix(b"[").strip().removesuffix(b"]").rstrip(b",")
    if not content.startswith(b"{"):
        return line in (b"[", b"{")
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def packaged(type: str, count: int | None, seed: int) -> list[bytes]:  # noqa: A002
    """Return lines made from what is installed: Python's own manual, or scikit-learn's digits.

    Two Pythons may carry two editions of the manual; the digest in the record tells them apart.
    """
    source = Random(f"packaged-{type}-{seed}")  # noqa: S311
    if type == "rows":
        pool = _digits()
        source.shuffle(pool)
        count = len(pool) if count is None else count
        return [pool[index % len(pool)] for index in range(count)]
    sentences = _manual()
    source.shuffle(sentences)
    count = len(sentences) if count is None else count
    pool = [sentence.encode() for sentence in _extended(sentences, count, source)]
    if type == "prompts":
        return [b" ".join(line.split()[: source.choice(PROMPT_WORDS)]) for line in pool]
    return pool


def _extended(sentences: list[str], count: int, source: Random) -> Iterator[str]:
    """Yield the sentences, and then new ones: the first half of one and the second of another."""
    yield from sentences[:count]
    for _ in range(count - len(sentences)):
        head, tail = (source.choice(sentences).split() for _ in range(2))
        yield " ".join([*head[: len(head) // 2], *tail[len(tail) // 2 :]])


def _manual() -> list[str]:
    from pydoc_data.topics import topics

    lines = []
    for paragraph in re.split(r"\n\s*\n", "\n\n".join(topics[key] for key in sorted(topics))):
        for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(paragraph.split())):
            if len(sentence.split()) in SENTENCE_WORDS and SENTENCE.fullmatch(sentence):
                lines.append(sentence)
    return list(dict.fromkeys(lines))


def _digits() -> list[bytes]:
    """Return 1,797 rows of 64 grey values (0 to 16), without the label."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise UsageError("scikit-learn missing: pip install 'beambench[samples]'")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return [line.rpartition(b",")[0] for line in gzip.decompress(path.read_bytes()).splitlines()]


def synthetic(type: str, count: int, seed: int) -> list[bytes]:  # noqa: A002
    """Return lines that are a function of type, seed and position alone."""
    return [_synthetic(type, Random(f"{type}-{seed}-{index}")) for index in range(count)]  # noqa: S311


def _synthetic(type: str, source: Random) -> bytes:  # noqa: A002
    if type == "rows":
        return b",".join(b"%d" % source.randint(0, 16) for _ in range(64))
    length = max(3, round(source.gauss(*SYNTHETIC_LENGTH)))
    if type == "prompts":
        length = source.choice(PROMPT_WORDS)
    return " ".join(source.choice(WORDS) for _ in range(length)).encode()


def digest(lines: list[bytes]) -> str:
    """SHA-256 over the SHA-256 of every line in order."""
    return sha256("\n".join(sha256(line).hexdigest() for line in lines).encode()).hexdigest()
