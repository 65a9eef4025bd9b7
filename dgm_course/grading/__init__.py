"""The grader: marks that a teacher can believe.

    submissions     what was handed in, read into memory; whatever is more than a notebook is refused
    notebooks       the exercise cells of a notebook, and nothing else of it
    worker_package  the files of the course that stand beside a student's code: they hold no answer
    sandbox         what the operating system can be made to refuse
    worker          a process that forks one child for every exercise
    messages        how results come home: arrays, never a pickle
    pool            the grader's side of all that
    grade           expected values made here, results judged here
    report          a table that is no formula, and a page a student without a script
    listing         `dgm homework`: all exercises in lines

What is and is not tamper-proof stands in TEACHING.md.
"""
