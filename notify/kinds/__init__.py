"""The catalogue of kinds: every kind it hands out is checked and compiled, and adding one is adding a folder."""

from notify.kinds.catalogue import Catalogue
from notify.kinds.categories import Category, Over
from notify.kinds.check import Problem
from notify.kinds.email import Rendered
from notify.kinds.kind import CompiledKind, HeaderFields

__all__ = ["Catalogue", "Category", "CompiledKind", "HeaderFields", "Over", "Problem", "Rendered"]
