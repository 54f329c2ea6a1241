"""One template, proven to compile and to use only declared names; what goes wrong in it names file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from types import TracebackType
from typing import Any

from jinja2 import Environment, Template, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.compiler import generate
from jinja2.ext import extract_from_ast

from notify.errors import did_you_mean
from notify.kinds.declaration import RESERVED
from notify.kinds.pieces import Pieces
from notify.kinds.places import Fault, MissingValue, Place
from notify.kinds.tokens import Source

Render = Callable[[Mapping[str, Any]], list[str]]
"""From variables to what is printed, in pieces: see `Passage`."""

_EVERYTHING = "*"


class Program:
    """A template that any locale's environment can compile."""

    def __init__(self, source: Source, compiler: Environment, declared: Set[str], *, ending: str) -> None:
        self.source = source
        self._name = f"{source.origin.file}{ending}"
        try:
            self._ast = compiler.parse(source.text, name=self._name)
            generate(compiler.parse(source.text, name=self._name), compiler, self._name, self._name)
        except TemplateSyntaxError as error:
            raise Fault(source.place(error.lineno), _syntax(error, compiler)) from None
        self._refuse_undeclared(declared, set(compiler.globals))

    def bind(self, environment: Environment, settled: Mapping[str, str]) -> Render:
        """A function from variables to pieces, in which the variables `settled` are constants.

        It raises InvalidKind or InvalidData naming file and line.
        """
        tree = environment.parse(self.source.text, name=self._name)
        pieces, source = Pieces(tree, environment, self._name, settled), self.source

        def render(variables: Mapping[str, Any]) -> list[str]:
            try:
                return list(pieces(variables))
            except Exception as error:
                raise _explained(error, source, _line(error.__traceback__, pieces.template)) from error

        return render

    def messages(self) -> Iterator[tuple[Place, str]]:
        """Every message to be translated, and where it is used."""
        for line, _, message in extract_from_ast(self._ast, ("_", "gettext", "ngettext")):
            text = message[0] if isinstance(message, tuple) else message
            if isinstance(text, str):
                yield self.source.place(line), text

    def uses(self) -> tuple[frozenset[str], frozenset[str]]:
        """The declared names it reads, and the attributes of `recipient`; `*` stands for all of those."""
        names = frozenset(meta.find_undeclared_variables(self._ast))
        attributes = [
            node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
            for node in self._ast.find_all((nodes.Getattr, nodes.Getitem))
            if isinstance(node, nodes.Getattr | nodes.Getitem) and _is_recipient(node.node)
        ]
        mentions = sum(_is_recipient(node) for node in self._ast.find_all(nodes.Name))
        return names, frozenset([*attributes, *([_EVERYTHING] if mentions > len(attributes) else [])])

    def _refuse_undeclared(self, declared: Set[str], functions: Set[str]) -> None:
        unknown = meta.find_undeclared_variables(self._ast) - declared - functions - set(RESERVED)
        for name in self._ast.find_all(nodes.Name):
            if name.name in unknown:
                near = did_you_mean(name.name, {*declared, *functions, *RESERVED})
                raise Fault(self.source.place(name.lineno), f"'{name.name}' is not declared in kind.toml [data]{near}")


def _is_recipient(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "recipient"


def _constant(node: nodes.Node) -> str:
    return str(node.value) if isinstance(node, nodes.Const) else _EVERYTHING


def _syntax(error: TemplateSyntaxError, compiler: Environment) -> str:
    text = str(error.message)
    missing = re.search(r"No (filter|test) named '(\w+)'", text)
    if missing is None:
        return text
    known = compiler.filters if missing[1] == "filter" else compiler.tests
    return f"no {missing[1]} named '{missing[2]}'{did_you_mean(missing[2], known)}"


def _line(trace: TracebackType | None, template: Template) -> int | None:
    """The template's line that was running, from the innermost frame of its code."""
    line = None
    while trace is not None:
        if trace.tb_frame.f_globals.get("__jinja_template__") is template:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _explained(error: Exception, source: Source, line: int | None) -> Exception:
    place = source.place(line)
    if not isinstance(error, UndefinedError):
        return Fault(place, f"{type(error).__name__}: {error}")
    name = re.search(r"has no attribute '(\w+)'|'(\w+)' is undefined", str(error))
    if name is None:
        return MissingValue(place, str(error))
    word = name[1] or name[2]
    piece = source.pieces.get(line or 0)
    path = re.search(rf"(?:\w+\.)*\b{word}\b", piece.text) if piece else None
    return MissingValue(place, f"{path[0] if path else word} is missing and has no default")
