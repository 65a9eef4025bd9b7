"""Grading of a class.

    submissions     read what was handed in, without unpacking it
    notebooks       find the exercise cells
    worker_package  the course files that a worker may see; they hold no answer
    sandbox         operating-system limits
    worker          one process for each exercise
    messages        results as bytes, never pickled
    pool            start workers and read their results
    grade           compute expected values and compare
    report          CSV table and HTML pages
    workspace       `dgm grade`: from a folder of submissions to the report
    listing, release, nbgrader    the commands `dgm homework`, `dgm release`, `dgm nbgrader`

TEACHING.md lists what is tamper-proof.
"""
