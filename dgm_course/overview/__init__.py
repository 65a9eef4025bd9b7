"""The last lecture's table, measured: every model of the course on the same digits, by the same yardsticks."""
from .marks import COLUMNS, LECTURE, Mark, Rules, agreement, marks
from .measuring import K, LatentFigures, Quality, Row, Told, measure, survey
from .systems import SYSTEMS, Likelihood, System, available

__all__ = [
    "COLUMNS", "K", "LECTURE", "LatentFigures", "Likelihood", "Mark", "Quality", "Row", "Rules", "SYSTEMS", "System", "Told",
    "agreement", "available", "marks", "measure", "survey",
]
