"""What the page says once something was done: a fixed sentence for each, so that an address can name no other."""

from __future__ import annotations

from notify.web.preference_centre.places import Words


def sentence(done: str, _: Words) -> tuple[str, str] | None:
    """The section that it belongs to, and the sentence; None for what is no word of ours."""
    known = {
        "topics": ("topics", _("Your choices are saved.")),
        "quiet": ("quiet", _("Your quiet hours are saved.")),
        "quiet-none": ("quiet", _("You have no quiet hours of your own now.")),
        "disturb": ("disturb", _("You will not be disturbed.")),
        "disturb-off": ("disturb", _("Do not disturb is off. What was waiting comes now.")),
        "paused": ("pause", _("Everything is paused.")),
        "resumed": ("pause", _("Nothing is paused any more.")),
        "language": ("language", _("Your language and time zone are saved.")),
        "added": ("addresses", _("A message is on its way there. Open the link in it to verify the address.")),
        "primary": ("addresses", _("Your main address is changed.")),
        "removed": ("addresses", _("The address is removed.")),
        "test": ("test", _("The test is on its way. It may take a minute to arrive.")),
        "subscribed": ("subscribe", _("You are subscribed again.")),
    }
    return known.get(done)
