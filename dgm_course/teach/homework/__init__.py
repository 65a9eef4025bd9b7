"""Homework: one exercise, one file. How answers are judged lies beside the topics.

An exercise is ``inputs(seed) -> observe(answer, inputs) -> judge(observed, expected)``. ``observe`` calls the answer and
returns plain arrays; ``judge`` sees arrays only. So the check cell, the tests and a grader in another process share it:

    task = exercise("fm.conditional_velocity")
    cases = task.inputs(seed=7)                     # plain data, picklable; contains no answer
    seen = task.observe(answer, cases)              # here or elsewhere: observe(answer, cases, task.watch)
    task.judge(seen, task.expected(cases))          # a Verdict

To add an exercise, add a file to its topic with an ``EXERCISE``: a generator of cases on fresh random numbers and sizes, a
reference built from the library, and MISTAKES, pairs (hint, wrong form). To add a topic, add a folder. Files that begin
with an underscore hold what several exercises share.

    exercise    the class, and how exercises are found     cases, draws    what is asked, and how it is drawn
    observe     what an answer does, as arrays             recipes         callables among the arguments
    judge       the verdict                                diagnose        mistakes that anybody makes
    messages    what the card says                         compare         what it draws
"""

from .cases import Case, Field, Network, Observation, ObserveSpec, OutOfTime, pack, unpack
from .compare import ComparisonPairs, ComparisonTable
from .exercise import SEEDS, Exercise, exercise, exercises, topics
from .judge import Expected, SameValues, Verdict, judge
from .messages import NOT_YET, PASS, WRONG
from .observe import observe

__all__ = [
    "Case",
    "Exercise",
    "Expected",
    "Field",
    "NOT_YET",
    "Network",
    "Observation",
    "OutOfTime",
    "PASS",
    "ComparisonPairs",
    "SEEDS",
    "SameValues",
    "ComparisonTable",
    "Verdict",
    "WRONG",
    "ObserveSpec",
    "exercise",
    "exercises",
    "judge",
    "observe",
    "pack",
    "topics",
    "unpack",
]
