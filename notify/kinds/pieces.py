"""A template's constants kept apart from its values, and what a locale settles settled before the first mail.

Jinja's own compiler writes both as strings; here a constant becomes a `Fixed` by where it stands in the source, never
by how it reads. Values keep Jinja's escaping and its sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from typing import Any, cast

from jinja2 import Environment, Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from notify.passages import Fixed

TRANSLATORS = ("_", "gettext")


class Pieces:
    """One template, compiled for one environment; calling it yields what it prints, piece by piece.

    `settled` are variables that this environment's mails all share.
    """

    def __init__(self, tree: nodes.Template, environment: Environment, name: str, settled: Mapping[str, str]) -> None:
        generator = _Generator(environment, name, name)
        generator.visit(_Settle(tree, environment, settled).visit(tree))
        code = compile(generator.source.getvalue(), name, "exec")
        self._globals = dict(environment.globals)
        self.template = Template.from_code(environment, code, self._globals)
        self._root = self.template.root_render_func
        self._root.__globals__.update(generator.fixed)
        self._environment = environment
        self._name = name

    def __call__(self, variables: Mapping[str, Any]) -> Iterator[str]:
        """`Fixed` constants and other strings, the values."""
        return self._root(Context(self._environment, {**self._globals, **variables}, self._name, {}))


class _Generator(CodeGenerator):
    """Prints constants by a name that no template can spell."""

    def __init__(self, environment: Environment, name: str, filename: str) -> None:
        self.source = StringIO()
        super().__init__(environment, name, filename, self.source)
        self.fixed: dict[str, Fixed] = {}
        self._printed = False

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802 - Jinja finds its visitors by name
        """What goes into a variable (`{% set %}` of a block, a macro) is a value when it is printed."""
        self._printed = frame.buffer is None
        super().visit_Output(node, frame)

    def _output_const_repr(self, group: Any) -> str:
        if not self._printed:
            return super()._output_const_repr(group)
        name = f"fixed_{len(self.fixed)}"
        self.fixed[name] = Fixed("".join(group))
        return name


class _Settle(NodeTransformer):
    """Puts words without placeholders, and variables that all mails of a locale share, in their place."""

    def __init__(self, tree: nodes.Template, environment: Environment, settled: Mapping[str, str]) -> None:
        self._environment = environment
        taken = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
        self._settled = {name: value for name, value in settled.items() if name not in taken}
        self._translate: Mapping[str, Callable[[str], str]] = {
            name: cast("Callable[[str], str]", environment.globals[name]) for name in TRANSLATORS if name not in taken
        }

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:  # noqa: N802 - Jinja finds its visitors by name
        """A variable that is settled."""
        return self._constant(self._settled[node.name], node) if node.name in self._settled else node

    def visit_Call(self, node: nodes.Call) -> nodes.Expr:  # noqa: N802 - Jinja finds its visitors by name
        """`_("words")`; one that cannot be printed stays, and is reported with its line when it is."""
        self.generic_visit(node)
        called, arguments = node.node, node.args
        plain = not (node.kwargs or node.dyn_args or node.dyn_kwargs) and len(arguments) == 1
        if not (plain and isinstance(called, nodes.Name) and called.name in self._translate):
            return node
        message = arguments[0]
        if not (isinstance(message, nodes.Const) and isinstance(message.value, str)):
            return node
        try:
            return self._constant(self._translate[called.name](message.value), node)
        except (KeyError, TypeError, ValueError):
            return node

    def _constant(self, value: Any, node: nodes.Node) -> nodes.Const:
        return nodes.Const(value, lineno=node.lineno, environment=self._environment)
