"""A phone number in the one form that every provider reads (ITU-T E.164), or a sentence about what is wrong with it."""

from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from notify.errors import InvalidAddress

LONGEST_SHOWN = 40


def parse(number: str, *, region: str | None) -> str:
    """The number as `+31612345678`. A national one, such as 06 12345678, is read as one of `region` (ISO 3166-1).

    Raises `InvalidAddress` for what is no number in use, for a national number without a region, and for an extension,
    which E.164 has no place for.
    """
    if not isinstance(number, str):
        raise InvalidAddress(f"a phone number must be text, not {type(number).__name__}")
    shown = repr(number if len(number) <= LONGEST_SHOWN else f"{number[:LONGEST_SHOWN]}…")
    try:
        found = phonenumbers.parse(number, region)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE and "+" not in number:
            raise InvalidAddress(
                f"{shown} does not say of which country it is: begin with + and the country's code, "
                "or set NOTIFY_PHONE_REGION"
            ) from None
        raise InvalidAddress(f"{shown} is no phone number; write it like +31 6 12345678") from None
    if found.extension:
        raise InvalidAddress(f"{shown} has an extension, which cannot receive messages; leave it out")
    if not phonenumbers.is_valid_number(found):
        raise InvalidAddress(f"{shown} is no phone number that is in use; write it like +31 6 12345678")
    return phonenumbers.format_number(found, PhoneNumberFormat.E164)
