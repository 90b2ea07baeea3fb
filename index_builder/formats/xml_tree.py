"""The elements of a streamed document that make one entry each, built one at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from index_builder.formats.safe_xml import read_xml
from streaming.errors import GlossaryError

_MAX_ELEMENTS = 100_000


@dataclass(slots=True)
class Element:
    """An element: name without prefix, attributes, line where it begins, and its texts and elements in order."""

    name: str
    attributes: Mapping[str, str]
    line: int
    content: "list[str | Element]" = field(default_factory=list)

    @property
    def elements(self) -> "list[Element]":
        """The elements right in this one."""
        return [each for each in self.content if isinstance(each, Element)]

    def named(self, *names: str) -> "Iterator[Element]":
        """The elements in this one, at any depth, that have one of these names."""
        for each in self.elements:
            if each.name in names:
                yield each
            yield from each.named(*names)

    def around(self, *names: str) -> "Iterator[Element]":
        """The elements in this one, at any depth, but for those named here and what is in them."""
        for each in self.content:
            if not isinstance(each, str) and each.name not in names:
                yield each
                yield from each.around(*names)

    def text(self, *without: str) -> str:
        """All text in this element, on one line, but for the elements named in `without`."""
        return " ".join("".join(self._texts(without)).split())

    def _texts(self, without: tuple[str, ...]) -> "list[str]":
        texts: list[str] = []
        for each in self.content:
            if isinstance(each, str):
                texts.append(each)
            elif each.name not in without:
                texts += each._texts(without)
        return texts


class EntryElements:
    """Reads a document and hands each of its entry elements over whole."""

    def __init__(self, names: frozenset[str], take: Callable[[Element], None]) -> None:
        """Hand elements with one of `names` to `take`; what stands around them is not kept."""
        self._names = names
        self._take = take
        self._open: list[Element] = []
        self._held = 0
        self._name = ""

    def read(self, content: bytes, name: str) -> None:
        """Read a document. Raises GlossaryError, see `read_xml`, and where one entry is out of all bounds."""
        self._name = name
        read_xml(content, name, self)

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> None:
        """An element begins."""
        element = Element(name, attributes, line)
        if self._open:
            self._open[-1].content.append(element)
        if self._open or name in self._names:
            self._open.append(element)
            self._held += 1
            if self._held > _MAX_ELEMENTS:
                raise GlossaryError(
                    f"{self._name}, line {line}: one entry holds more than {_MAX_ELEMENTS} elements; split it"
                )

    def end(self, name: str) -> None:
        """An element ends; if it is an entry, it is whole now."""
        if self._open:
            element = self._open.pop()
            if not self._open:
                self._held = 0
                self._take(element)

    def characters(self, text: str) -> None:
        """Text, kept inside entries only."""
        if self._open:
            self._open[-1].content.append(text)
