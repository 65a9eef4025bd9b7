"""The last lecture's table, measured: every model of the course on the same digits, by the same yardsticks."""
from .measure import K, LatentFigures, Quality, Row, Told, measure, survey
from .models import SYSTEMS, Likelihood, System, available
from .table import COLUMNS, LECTURE, Mark, Rules, agreement, marks

__all__ = [
    "COLUMNS", "K", "LECTURE", "LatentFigures", "Likelihood", "Mark", "Quality", "Row", "Rules", "SYSTEMS", "System", "Told",
    "agreement", "available", "marks", "measure", "survey",
]
