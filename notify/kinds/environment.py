"""Jinja as kinds use it: sandboxed, loud about what is missing, in the reader's language.

Templates are compiled once; the compiled code is then bound to one environment per locale.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, NoReturn

from babel import Locale
from jinja2 import Undefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notify.kinds import formats
from notify.kinds.translations import Shelf

HTML, TEXT = ".html", ".txt"
"""Endings of template names: only HTML is escaped."""

_PRINTED_PLAIN = ("e", "escape", "forceescape", "urlize")


class Absent(Undefined):
    """A value that is not there: false in a test, an error when printed or looked into."""

    def _refuse(self, *_: Any) -> NoReturn:
        self._fail_with_undefined_error()

    __str__ = __iter__ = __len__ = __contains__ = _refuse


class Sandbox(ImmutableSandboxedEnvironment):
    """A dictionary's own keys come before its methods: `day.items` is the item of that name.

    Our own functions skip the checks that guard calls of anything else.
    """

    trusted: frozenset[Callable[..., str]] = frozenset()

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute` in a template."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call(self, context: Context, obj: Any, /, *arguments: Any, **named: Any) -> Any:
        """`obj(…)` in a template; compiled loops and blocks add their variables for those who ask for a context."""
        if type(obj) is FunctionType and obj in self.trusted:
            named.pop("_loop_vars", None)
            named.pop("_block_vars", None)
            return obj(*arguments, **named)
        return super().call(context, obj, *arguments, **named)


def environment(shelf: Shelf, words: str, form: Locale, *, html: bool) -> Sandbox:
    """Translations in the locale `words`, dates and numbers in that of `form`."""
    made = Sandbox(
        extensions=["jinja2.ext.i18n"],
        autoescape=lambda name: name is not None and name.endswith(HTML),
        undefined=Absent,
        keep_trailing_newline=True,
        cache_size=0,
    )
    del made.globals["lipsum"]
    made.newstyle_gettext = True  # type: ignore[attr-defined]  # set up by the i18n extension
    translate = shelf.functions(words, html=html)
    made.globals.update(translate)
    made.trusted = frozenset(translate.values())
    made.filters.update(formats.filters(form))
    if not html:
        made.filters.update(dict.fromkeys(_PRINTED_PLAIN, str))
    return made
