"""Where notifications come in: checked, planned and stored in one transaction, rung for after its commit."""

from notify.intake.cancelling import cancel, cancel_all
from notify.intake.explanation import Explanation, explain
from notify.intake.forecasting import Forecast, forecast
from notify.intake.planning import plan
from notify.intake.previews import Preview, preview
from notify.intake.request import Request
from notify.intake.when import local

__all__ = [
    "Explanation",
    "Forecast",
    "Preview",
    "Request",
    "cancel",
    "cancel_all",
    "explain",
    "forecast",
    "local",
    "plan",
    "preview",
]
