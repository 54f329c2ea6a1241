"""Text that every database stores."""

from __future__ import annotations


def storable(text: str, most: int | None = None) -> str:
    """The text, of `most` characters at most, with a replacement character for what no database stores.

    That is NUL, and halves of surrogate pairs.
    """
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
