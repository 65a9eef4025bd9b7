"""The grader: marks that a teacher can believe.

    archives   what was handed in, read into memory; whatever is more than a notebook is refused
    books      the exercise cells of a notebook, and nothing else of it
    sieve      the part of the course that may be near a student's code: it knows no answer
    pen        what the operating system can be made to refuse
    worker     a process that forks one prisoner for every exercise
    wire       how results come home: arrays, never a pickle
    workers    the grader's side of all that
    marks      expected values made here, results judged here
    report     a table that is no formula, and a page a student without a script
    table      `dgm homework`: all exercises in lines

What is and is not tamper-proof stands in TEACHING.md.
"""
