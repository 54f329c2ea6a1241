"""Where notifications come in: checked, planned and stored in one transaction, rung for after its commit."""

from notify.intake.explanation import Explanation, explain
from notify.intake.planning import cancel, plan
from notify.intake.previews import Preview, preview
from notify.intake.request import Request

__all__ = ["Explanation", "Preview", "Request", "cancel", "explain", "plan", "preview"]
